import { metrics, trace, type Attributes, type Meter, type Tracer } from '@opentelemetry/api';
import { expect, test } from 'vitest';
import { Browser, FETCH } from '../support/browser.js';
import { runExample } from '../support/example.js';

// A minimal OpenTelemetry SDK that records what it is given.
const counted: Attributes[] = [];
const measured: Attributes[] = [];
const spans: { name: string; attributes: Attributes; ended: boolean }[] = [];

const meter = {
  createCounter: () => ({ add: (_: number, attributes: Attributes) => counted.push(attributes) }),
  createHistogram: () => ({ record: (_: number, attributes: Attributes) => measured.push(attributes) }),
} as unknown as Meter;
const tracer = {
  startSpan(name: string, { attributes = {} }: { attributes?: Attributes }) {
    const span = { name, attributes, ended: false };
    spans.push(span);
    return { setStatus: () => undefined, end: () => (span.ended = true) };
  },
} as unknown as Tracer;
metrics.setGlobalMeterProvider({ getMeter: () => meter });
trace.setGlobalTracerProvider({ getTracer: () => tracer });

const example = runExample(() => import('../../example/opentelemetry/app.js'));

test('counts decisions and traces calls to WorkOS', async () => {
  const browser = new Browser();
  const landed = await example.signIn('/', 'grace@example.com', browser);
  expect(landed.body).toBe('Hello grace@example.com');
  expect((await browser.fetch(`${example.origin}/admin?x=1`, { headers: FETCH })).status).toBe(403);
  expect(counted).toEqual([
    { event: 'denied', code: 'unauthenticated' },
    { event: 'sign-in', method: 'Password' },
    { event: 'denied', code: 'forbidden' },
  ]);
  expect(spans.map(({ name }) => name)).toContain('POST /user_management/authenticate');
  expect(spans.every(({ ended }) => ended)).toBe(true);
  expect(measured).toHaveLength(spans.length);
});
