import { channel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { metrics, trace, type Attributes, type Tracer } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { afterAll, expect, test } from 'vitest';
import type { AuthKitEvents } from 'authkit-express';
import { Browser, FETCH } from '../support/browser.js';
import { runExample } from '../support/example.js';

const spans: { name: string; attributes: Attributes; ended: boolean }[] = [];
const tracer = {
  startSpan(name: string, { attributes = {} }: { attributes?: Attributes }) {
    const span = { name, attributes, ended: false };
    spans.push(span);
    return { setStatus: () => undefined, end: () => (span.ended = true) };
  },
} as unknown as Tracer;
const exporter = new PrometheusExporter({ preventServerStart: true });
const provider = new MeterProvider({ readers: [exporter] });
metrics.setGlobalMeterProvider(provider);
trace.setGlobalTracerProvider({ getTracer: () => tracer });
afterAll(() => provider.shutdown());

const example = runExample(() => import('../../example/opentelemetry/app.js'));

/** The metrics in Prometheus format: `name{label="value",…} number`. */
async function exported(): Promise<string> {
  const { resourceMetrics } = await exporter.collect();
  return new PrometheusSerializer().serialize(resourceMetrics);
}

/** A metric's values by their labels. */
async function valuesOf(name: string): Promise<Record<string, number>> {
  const lines = (await exported()).matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)`, 'gm'));
  return Object.fromEntries(
    [...lines].map(([, labels = '', value]) => [
      labels.replace(/,?otel_scope_name="[^"]*"/, '').replaceAll('"', ''),
      Number(value),
    ]),
  );
}

test('counts decisions and traces calls to WorkOS', async () => {
  const browser = new Browser();
  const landed = await example.signIn('/', 'grace@example.com', browser);
  expect(landed.body).toBe('Hello grace@example.com');
  expect((await browser.fetch(`${example.origin}/admin?x=1`, { headers: FETCH })).status).toBe(403);
  expect(await valuesOf('authkit_denied_total')).toEqual({
    'code=unauthenticated': 1,
    'code=forbidden': 1,
  });
  expect(await valuesOf('authkit_sign_ins_total')).toEqual({ 'outcome=ok,method=Password': 1 });
  expect(spans.map(({ name }) => name)).toContain('POST /user_management/authenticate');
  expect(spans.every(({ ended }) => ended)).toBe(true);
  const calls = Object.values(await valuesOf('authkit_upstream_duration_seconds_count'));
  expect(calls.reduce((sum, count) => sum + count, 0)).toBe(spans.length);
});

const who = { clientId: 'client_1A', userId: 'user_1A', sessionId: 'session_1A', organizationId: undefined };
const clientId = 'client_1A';

/** A message for each event. The compiler keeps this complete. */
const MESSAGES: { [N in keyof AuthKitEvents]: AuthKitEvents[N] } = {
  'authkit:sign-in': { ...who, authenticationMethod: 'SSO', isImpersonated: false },
  'authkit:sign-in-failed': { clientId, code: 'invalid_state' },
  'authkit:refresh': who,
  'authkit:refresh-failed': {
    ...who,
    outcome: 'unavailable',
    code: 'upstream_unavailable',
    reason: 'timeout',
    status: undefined,
  },
  'authkit:sign-out': who,
  'authkit:denied': {
    clientId,
    code: 'forbidden',
    userId: 'user_1A',
    method: 'GET',
    path: '/',
    rule: { role: 'admin' },
  },
  'authkit:error': { clientId, source: 'onSuccess', error: new Error('failed') },
  'authkit:upstream': {
    method: 'GET',
    path: '/user_management/users/user_01ABC',
    outcome: 'ok',
    status: 200,
    duration: 1500,
  },
  'authkit:breaker': { clientId, scope: 'main', state: 'open', reason: 'failures', pause: 500 },
  'authkit:store': { clientId, operation: 'get', outcome: 'timeout', duration: 1000, code: undefined },
  'authkit:keys': {
    clientId,
    issuer: undefined,
    outcome: 'unavailable',
    reason: 'network',
    status: undefined,
    count: 1,
    age: 1000,
  },
  'authkit:session': {
    clientId,
    reason: 'invalid',
    why: 'password',
    detail: undefined,
    userId: undefined,
    sessionId: undefined,
  },
  'authkit:webhook': {
    clientId,
    outcome: 'refused',
    reason: 'signature',
    event: undefined,
    eventId: undefined,
  },
  'authkit:revoked': { clientId, sessionId: 'session_1A', userId: undefined, isShared: false },
};

test('every event changes a metric, and no metric has an ID as a label', async () => {
  for (const [name, message] of Object.entries(MESSAGES)) {
    const before = await exported();
    channel(name).publish(message);
    expect(await exported(), name).not.toBe(before);
  }
  const route = { 'route=/user_management/users/:id,outcome=ok': 1.5 };
  expect(await valuesOf('authkit_upstream_duration_seconds_sum')).toMatchObject(route);
  expect(await valuesOf('authkit_store_failures_total')).toEqual({ 'operation=get,code=timeout': 1 });
  expect(await exported()).not.toMatch(/(?:user|session|client)_\d/);
});

test('the Grafana dashboard shows every metric of the recipe, and no other', async () => {
  const file = new URL('../../example/opentelemetry/grafana-dashboard.json', import.meta.url);
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as {
    panels: { title: string; targets: { expr: string }[] }[];
  };
  for (const [name, message] of Object.entries(MESSAGES)) channel(name).publish(message);
  const metricsOf = (text: string, pattern: RegExp) =>
    new Set([...text.matchAll(pattern)].map(([, name]) => name));
  const recorded = metricsOf(await exported(), /^# TYPE (authkit_\w+)/gm);
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n');
  const shown = metricsOf(queries, /(authkit_\w+?)(?:_bucket|_count|_sum)?\b(?!\w)/g);
  expect([...shown].sort()).toEqual([...recorded].sort());
  expect(recorded.size).toBeGreaterThan(10);
  // All labels that queries group by exist.
  const labels = metricsOf(await exported(), /[{,](\w+)="/g);
  for (const [, names = ''] of queries.matchAll(/by \(([^)]*)\)/g))
    for (const label of names.split(', ')) expect([...labels], label).toContain(label);
});
