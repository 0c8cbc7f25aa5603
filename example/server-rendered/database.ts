// Stands for the database of the application: a table of users and a table of their notes.

export interface User {
  id: number;
  email: string;
  /** ID of the user at the identity provider. It is `null` until the user signs in for the first time. */
  subject: string | null;
}

export interface Identity {
  subject: string;
  email: string;
  emailVerified: boolean;
}

const users: User[] = [{ id: 1, email: 'ada@example.com', subject: null }];
const notes = [{ userId: 1, text: 'Ada wrote this before she signed in with WorkOS' }];

export function findBySubject(subject: string): User | undefined {
  return users.find((user) => user.subject === subject);
}

export function findById(id: number): User | undefined {
  return users.find((user) => user.id === id);
}

/** Links the identity to a row: by its ID, by an email address that is verified, or to a new row. */
export function linkUser({ subject, email, emailVerified }: Identity): User {
  const linked = findBySubject(subject);
  if (linked) return linked;
  const same = emailVerified ? users.find((user) => user.email === email) : undefined;
  if (same?.subject === null) return Object.assign(same, { subject });
  const user = { id: users.length + 1, email, subject };
  users.push(user);
  return user;
}

export function notesOf(user: { id: number } | undefined): string[] {
  return notes.filter(({ userId }) => userId === user?.id).map(({ text }) => text);
}

export function addNote(user: { id: number } | undefined, text: string): void {
  if (user) notes.push({ userId: user.id, text });
}
