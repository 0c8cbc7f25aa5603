// The page on the other origin.
const API = 'http://localhost:3000';

/** Calls the API. If the user is signed out, starts a sign-in that leads back to this page. */
export async function call(path, options = {}) {
  const response = await fetch(API + path, { ...options, credentials: 'include' });
  if (response.status !== 401) return response.json();
  const { loginUrl } = await response.json();
  const url = new URL(loginUrl, API);
  url.searchParams.set('returnTo', location.href);
  location.href = url.href;
  return new Promise(() => {}); // The browser is leaving this page.
}

export async function signOut() {
  const response = await fetch(`${API}/logout`, { method: 'POST', credentials: 'include' });
  location.href = (await response.json()).logoutUrl;
}
