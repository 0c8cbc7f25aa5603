import debug from 'debug';

/** A decision, or the route or part that made it where it is no event. */
type Area =
  | 'login'
  | 'session'
  | 'keys'
  | 'hook'
  | 'sign-in'
  | 'sign-in-failed'
  | 'refresh'
  | 'refresh-failed'
  | 'sign-out'
  | 'denied'
  | 'upstream'
  | 'store'
  | 'webhook';

const loggers = new Map<Area, debug.Debugger>();

/**
 * One line a decision, under `DEBUG=authkit:*`. Nothing secret is ever passed in, and JSON keeps what came from
 * outside on one line.
 */
export function log(area: Area, facts: object): void {
  let logger = loggers.get(area);
  if (!logger) loggers.set(area, (logger = debug(`authkit:${area}`)));
  if (logger.enabled) logger('%s', printable(JSON.stringify(facts)));
}

function printable(json: string): string {
  return json.replace(
    /[^\u0020-\u007e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
