/**
 * The delay between start-up and the loading of the keys, in milliseconds. By then, the application is listening, and a
 * script that only imports the application has exited.
 */
const START_DELAY = 50;

/**
 * Loads the signing keys in the background after start-up, so that the first user does not have to wait for them. The
 * timer does not keep the process alive.
 *
 * @param load Loads the keys. The returned promise must never reject.
 */
export function preloadKeys(load: () => Promise<unknown>): void {
  setTimeout(() => void load(), START_DELAY).unref();
}
