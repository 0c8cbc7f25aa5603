/** One cookie of a request, found as cheaply as can be: what is compared is not cookie parsers. */
export function cookieOf(req, name) {
  const header = req.headers.cookie ?? '';
  const start = header.indexOf(`${name}=`);
  if (start === -1) return '';
  const end = header.indexOf(';', start);
  return header.slice(start + name.length + 1, end === -1 ? undefined : end);
}
