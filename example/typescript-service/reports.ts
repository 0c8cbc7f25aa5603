/** Stands for the database of the service: accounts with a plan, and the reports of organizations. */
export interface Account {
  id: number;
  /** ID of the user at WorkOS or another provider. These are the IDs of the users of the test WorkOS. */
  subject: string;
  email: string;
  plan: 'free' | 'pro';
}

const accounts: readonly Account[] = [
  { id: 1, subject: 'user_0155QNS0GG1AM2VB945ZTD07Z8', email: 'ada@example.com', plan: 'pro' },
  { id: 2, subject: 'user_01MMYATF9NPTW3KCJA1GJ15JF3', email: 'grace@example.com', plan: 'free' },
];

export async function findAccount(subject: string): Promise<Account | null> {
  return Promise.resolve(accounts.find((account) => account.subject === subject) ?? null);
}

export interface Report {
  id: number;
  organizationId: string;
}

export async function reportsOf(organizationId: string | undefined): Promise<Report[]> {
  return Promise.resolve(organizationId === undefined ? [] : [{ id: 1, organizationId }]);
}

/** Reports in a month, for each plan. */
export const LIMITS: Readonly<Record<Account['plan'], number>> = { free: 10, pro: 1000 };
