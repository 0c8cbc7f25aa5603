// Turns the events of authkit-express into OpenTelemetry metrics and spans. Neither package depends on the other.
import { subscribe } from 'node:diagnostics_channel';
import { metrics, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { AuthKitEvents } from 'authkit-express';

const meter = metrics.getMeter('authkit-express');
const decisions = meter.createCounter('authkit.decisions', { description: 'Sign-ins, refreshes, denials …' });
const upstream = meter.createHistogram('authkit.upstream.duration', { unit: 'ms' });
const tracer = trace.getTracer('authkit-express');

function on<N extends keyof AuthKitEvents>(name: N, listener: (event: AuthKitEvents[N]) => void): void {
  subscribe(name, (message) => {
    listener(message as AuthKitEvents[N]);
  });
}

on('authkit:sign-in', ({ authenticationMethod }) => {
  decisions.add(1, { event: 'sign-in', method: authenticationMethod ?? 'unknown' });
});
on('authkit:sign-in-failed', ({ code }) => {
  decisions.add(1, { event: 'sign-in-failed', code });
});
on('authkit:refresh', () => {
  decisions.add(1, { event: 'refresh' });
});
on('authkit:refresh-failed', ({ outcome, code }) => {
  decisions.add(1, { event: 'refresh-failed', outcome, code });
});
on('authkit:sign-out', () => {
  decisions.add(1, { event: 'sign-out' });
});
on('authkit:denied', ({ code, userId }) => {
  decisions.add(1, { event: 'denied', code });
  // The event is published while the request is handled, so the active span is the span of that request.
  trace.getActiveSpan()?.addEvent('authkit.denied', { code, ...(userId ? { 'user.id': userId } : {}) });
});
on('authkit:breaker', ({ state, reason }) => {
  decisions.add(1, { event: 'breaker', state, reason });
});
on('authkit:upstream', ({ method, path, outcome, status = 0, duration }) => {
  upstream.record(duration, { path, outcome });
  const end = Date.now();
  const span = tracer.startSpan(`${method} ${path}`, {
    kind: SpanKind.CLIENT,
    startTime: end - duration,
    attributes: { 'http.request.method': method, 'url.path': path, 'http.response.status_code': status },
  });
  if (outcome !== 'ok') span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
  span.end(end);
});
