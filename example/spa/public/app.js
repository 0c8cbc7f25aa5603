const main = document.querySelector('main');

/** Calls the API. If the user is signed out, redirects to sign-in, which returns to this page. */
async function get(path) {
  const response = await fetch(path);
  if (response.status !== 401) return response.json();
  const { loginUrl } = await response.json();
  location.href = `${loginUrl}?returnTo=${encodeURIComponent(location.pathname + location.search)}`;
  return new Promise(() => {}); // The browser is leaving this page.
}

/** Ends the session in this application and then at WorkOS. */
async function signOut() {
  const response = await fetch('/logout', { method: 'POST' });
  location.href = (await response.json()).logoutUrl;
}

const { email } = await get('/api/me');
const button = Object.assign(document.createElement('button'), { textContent: 'Sign out', onclick: signOut });
main.replaceChildren(`Hello ${email} `, button);
