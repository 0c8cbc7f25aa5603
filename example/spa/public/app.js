const main = document.querySelector('main');

/** Asks the API; who is not signed in is sent to sign in, and comes back to this page. */
async function ask(path) {
  const response = await fetch(path);
  if (response.status !== 401) return response.json();
  const { loginUrl } = await response.json();
  location.href = `${loginUrl}?returnTo=${encodeURIComponent(location.pathname + location.search)}`;
  return new Promise(() => {}); // The page is on its way out.
}

/** Ends the session here, then at WorkOS. */
async function signOut() {
  const response = await fetch('/logout', { method: 'POST' });
  location.href = (await response.json()).logoutUrl;
}

const { email } = await ask('/api/me');
const button = Object.assign(document.createElement('button'), { textContent: 'Sign out', onclick: signOut });
main.replaceChildren(`Hello ${email} `, button);
