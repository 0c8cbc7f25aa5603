import debug from 'debug';

type Area = 'login' | 'callback' | 'logout' | 'session' | 'refresh' | 'keys' | 'guard' | 'upstream';

const loggers = new Map<Area, debug.Debugger>();

/**
 * One line a decision, under `DEBUG=authkit:*`. Nothing secret is ever passed in, and JSON keeps what came from
 * outside on one line.
 */
export function log(area: Area, decision: string, facts?: Readonly<Record<string, unknown>>): void {
  let logger = loggers.get(area);
  if (!logger) loggers.set(area, (logger = debug(`authkit:${area}`)));
  if (!logger.enabled) return;
  logger('%s%s', decision, facts ? ` ${printable(JSON.stringify(facts))}` : '');
}

function printable(json: string): string {
  return json.replace(
    /[^\u0020-\u007e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
