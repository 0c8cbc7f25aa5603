/** In milliseconds: the application has begun to listen by then, and a script that only imports it has ended. */
const START_DELAY = 50;

/**
 * Loads the signing keys at start-up, so that the first user does not wait for them. It happens in the background, and
 * does not keep a process alive that has nothing else to do.
 *
 * @param load Never rejects.
 */
export function preloadKeys(load: () => Promise<unknown>): void {
  setTimeout(() => void load(), START_DELAY).unref();
}
