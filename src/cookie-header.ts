/**
 * The Cookie header, in order. Not by `cookie`, which keeps one value a name: with two of one name the second may be
 * the real one, and the order says which flow is the oldest (RFC 6265 section 5.4).
 */
export function pairs(header: string | undefined): [name: string, value: string][] {
  const found: [string, string][] = [];
  for (const pair of (header ?? '').split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1) found.push([pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()]);
  }
  return found;
}

const NONE: readonly string[] = [];

/**
 * The values where it is plain at a glance: the name does not occur, or occurs once and as a cookie's. This is nearly
 * every request, and taking the whole header apart costs more than all else that a remembered session needs.
 */
export function onlyValue(header: string | undefined, name: string): readonly string[] | undefined {
  if (header === undefined) return NONE;
  const start = header.indexOf(name);
  if (start === -1) return NONE;
  const equals = start + name.length;
  if (header[equals] !== '=' || (start > 0 && !header.startsWith('; ', start - 2))) return undefined;
  const end = header.indexOf(';', equals);
  if (end === -1) return [header.slice(equals + 1).trim()];
  // Behind it another may begin; inside it none can.
  return header.includes(name, end) ? undefined : [header.slice(equals + 1, end).trim()];
}
