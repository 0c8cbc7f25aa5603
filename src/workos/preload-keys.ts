/**
 * How long after start-up the keys are loaded, in milliseconds. By then, the application is listening, and a script
 * that only imports it has exited.
 */
const START_DELAY = 50;

/**
 * Loads the signing keys in the background at start-up, so that the first user does not wait for them. The timer does
 * not keep the process alive.
 *
 * @param load Never rejects.
 */
export function preloadKeys(load: () => Promise<unknown>): void {
  setTimeout(() => void load(), START_DELAY).unref();
}
