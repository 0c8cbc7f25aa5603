// Turns the events of authkit-express into OpenTelemetry metrics and spans. Neither package depends on the other. The
// Grafana dashboard in grafana-dashboard.json shows these metrics.
import { subscribe } from 'node:diagnostics_channel';
import { metrics, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { AuthKitEvents } from 'authkit-express';

const meter = metrics.getMeter('authkit-express');
const signIns = meter.createCounter('authkit.sign_ins', { description: 'Sign-ins that ended' });
const signOuts = meter.createCounter('authkit.sign_outs', { description: 'Users who signed out' });
const refreshes = meter.createCounter('authkit.refreshes', { description: 'Refreshes of sessions' });
const denied = meter.createCounter('authkit.denied', { description: 'Requests that a guard denied' });
const rejected = meter.createCounter('authkit.sessions.rejected', {
  description: 'Session cookies that were not accepted',
});
const revocations = meter.createCounter('authkit.revocations', {
  description: 'Sessions that were ended before their access token expired',
});
const webhooks = meter.createCounter('authkit.webhooks', { description: 'Webhooks that were received' });
const errors = meter.createCounter('authkit.errors', { description: 'Errors that hooks threw' });
// The name includes the unit, so it is the same in Prometheus with every exporter: some add the unit, some do not.
const upstream = meter.createHistogram('authkit.upstream.duration.seconds', {
  unit: 's',
  description: 'Calls to WorkOS',
  advice: { explicitBucketBoundaries: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] },
});
const breakerOpen = meter.createGauge('authkit.breaker.open', {
  description: '1 while WorkOS is not called because it failed or asked for a pause',
});
const storeAvailable = meter.createGauge('authkit.store.available', {
  description: '1 while calls of this operation to the store succeed',
});
const storeFailures = meter.createCounter('authkit.store.failures', {
  description: 'Changes from calls that succeed to calls that fail',
});
const keysAvailable = meter.createGauge('authkit.keys.available', {
  description: '1 while the signing keys of WorkOS can be fetched',
});
const tracer = trace.getTracer('authkit-express');

function on<N extends keyof AuthKitEvents>(name: N, listener: (event: AuthKitEvents[N]) => void): void {
  subscribe(name, (message) => {
    listener(message as AuthKitEvents[N]);
  });
}

on('authkit:sign-in', ({ authenticationMethod }) => {
  signIns.add(1, { outcome: 'ok', method: authenticationMethod ?? 'unknown' });
});
on('authkit:sign-in-failed', ({ code }) => {
  signIns.add(1, { outcome: 'failed', code });
});
on('authkit:sign-out', () => {
  signOuts.add(1);
});
on('authkit:refresh', () => {
  refreshes.add(1, { outcome: 'ok' });
});
on('authkit:refresh-failed', ({ outcome, reason }) => {
  refreshes.add(1, { outcome, reason });
});
on('authkit:denied', ({ code, userId }) => {
  denied.add(1, { code });
  // The event is published while the request is handled, so the active span is the span of that request.
  trace.getActiveSpan()?.addEvent('authkit.denied', { code, ...(userId ? { 'user.id': userId } : {}) });
});
on('authkit:session', ({ reason, why }) => {
  rejected.add(1, { reason, why });
});
on('authkit:revoked', ({ sessionId, isShared }) => {
  revocations.add(1, { of: sessionId === undefined ? 'user' : 'session', shared: isShared });
});
on('authkit:webhook', ({ outcome, reason = 'none' }) => {
  webhooks.add(1, { outcome, reason });
});
on('authkit:error', ({ source }) => {
  errors.add(1, { source });
});
// A metric is exported only once it has a value, so these start with "nothing is wrong".
breakerOpen.record(0);
on('authkit:breaker', ({ scope, state }) => {
  if (scope === 'main') breakerOpen.record(state === 'closed' ? 0 : 1);
});
on('authkit:store', ({ operation, outcome, code = outcome }) => {
  storeAvailable.record(outcome === 'ok' ? 1 : 0, { operation });
  if (outcome !== 'ok') storeFailures.add(1, { operation, code });
});
on('authkit:keys', ({ outcome }) => {
  keysAvailable.record(outcome === 'ok' ? 1 : 0);
});
on('authkit:upstream', ({ method, path, outcome, status = 0, duration }) => {
  // IDs such as user_01ABC are replaced, because every attribute value creates a separate time series.
  const route = path.replace(/\/[a-z_]+_(?=\w*\d)\w+(?=\/|$)/g, '/:id');
  upstream.record(duration / 1000, { route, outcome });
  const end = Date.now();
  const span = tracer.startSpan(`${method} ${route}`, {
    kind: SpanKind.CLIENT,
    startTime: end - duration,
    attributes: { 'http.request.method': method, 'url.path': path, 'http.response.status_code': status },
  });
  if (outcome !== 'ok') span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
  span.end(end);
});
