import { html, join } from '../main/html.js';

export interface NotesPage {
  email: string | undefined;
  notes: readonly string[];
  csrfToken: string;
  flash: string | undefined;
}

export function notesPage({ email, notes, csrfToken, flash }: NotesPage): string {
  return html`<!doctype html>
    <title>Notes</title>
    ${flash === undefined ? '' : html`<p role="status">${flash}</p>`}
    <h1>Notes of ${email ?? ''}</h1>
    <ul>
      ${join(notes.map((note) => html`<li>${note}</li>`))}
    </ul>
    <form method="post" action="/notes">
      <input type="hidden" name="csrfToken" value="${csrfToken}" />
      <input name="text" aria-label="Note" />
      <button>Add</button>
    </form>
    <form method="post" action="/logout"><button>Sign out</button></form>`.text;
}
