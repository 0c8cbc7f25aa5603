import { expect, test } from 'vitest';
import type { ActiveSession } from 'authkit-express';
import { json, createTestApp } from '../support/app.js';

test('sessions that have ended or expired are not listed', async () => {
  const { origin, browser, signIn, workos } = await createTestApp('express5', {
    routes: (app, auth) => {
      app.route('/devices', (req, res, next) => {
        auth.listSessions(req).then((list) => {
          json(res, list);
        }, next);
      });
    },
  });
  await signIn();
  workos.fail({
    on: 'sessions',
    alter: (body) => {
      const [active] = body['data'] as object[];
      const others = ['revoked', 'expired', 'ended'].map((status) => ({
        ...active,
        id: `session_${status}`,
        status,
      }));
      return { ...body, data: [...others, active] };
    },
  });
  const list = JSON.parse((await browser.fetch(`${origin}/devices`)).body) as ActiveSession[];
  expect(list).toHaveLength(1);
  expect(list[0]).toMatchObject({ isCurrent: true });
});
