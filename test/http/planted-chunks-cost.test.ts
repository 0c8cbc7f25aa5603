import { expect, test } from 'vitest';
import { createCookies } from '../../src/http/cookies.js';
import { COOKIE_CONFIG } from '../support/cookie-config.js';

test('T44 hundreds of planted chunks give a limited number of values to decrypt', () => {
  const { sessionValues } = createCookies(COOKIE_CONFIG, 600);
  const first = `wos-session.0=Fe26.2*1*${'c'.repeat(4000)}`;
  const planted = Array.from(
    { length: 600 },
    (_, index) => `wos-session.1=${index}~2; wos-session.2=${index}~2`,
  );
  const req = { headers: { cookie: [first, ...planted].join('; ') } };
  expect(sessionValues(req as never).length).toBeLessThan(400);
});
