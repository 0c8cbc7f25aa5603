/**
 * Draws docs/images/dashboard.png: `npm run docs:dashboard`. An application with the metrics of example/opentelemetry
 * serves users for two minutes, in which WorkOS and Redis fail; a Prometheus records it; and the panels of
 * grafana-dashboard.json are drawn from what Prometheus answers to their queries. Needs redis-server, prometheus and
 * Chromium.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import express from 'express';
import { createClient } from 'redis';
import { authkit, requireAuth } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import { createTestWorkOS } from 'authkit-express/testing';
import { NAVIGATION, send } from '../test/support/browser.js';
import { launch } from '../test/support/chromium.js';
import { freePort } from '../test/support/free-port.js';
import { startRedis, stop } from '../test/support/redis.js';
import { drawDashboard, type DrawnPanel, type Series } from './draw-dashboard.js';

const root = (path: string) => new URL(`../${path}`, import.meta.url);
const USERS = 30;
/** Seconds of the whole, and when something begins and ends. */
const DURATION = 130;
const OUTAGE = [35, 60] as const;
const REDIS_DOWN = [80, 95] as const;
const WRONG_PASSWORD_FROM = 105;

const metricsPort = await freePort();
const exporter = new PrometheusExporter({ port: metricsPort, host: '127.0.0.1' });
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [exporter] }));
await import('../example/opentelemetry/telemetry.js');

const emails = Array.from({ length: USERS }, (_, index) => `user${index}@example.com`);
const [redis, workos, other] = await Promise.all([
  startRedis(),
  createTestWorkOS({ users: emails.map((email) => ({ email })), accessTokenLifetime: 15 }),
  createTestWorkOS({ cookiePassword: 'a-password-of-another-deployment-0123' }),
]);
const client = createClient({ url: redis.url });
await client.connect();
const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const auth = authkit({
  ...workos.options,
  redirectUri: `${origin}/callback`,
  store: redisStore(client),
});
const app = express();
app.use(auth);
app.get('/', requireAuth(), (req, res) => {
  const { auth: principal } = req;
  res.json({ sessionId: 'sessionId' in principal ? principal.sessionId : undefined });
});
app.get('/admin', requireAuth({ role: 'admin' }), (_req, res) => void res.send('ok'));
app.post('/webhooks/workos', auth.webhooks({ secret: workos.webhookSecret }));
const server = app.listen(port, '127.0.0.1');
await once(server, 'listening');

const prometheus = await startPrometheus();
const started = Date.now();
const seconds = () => (Date.now() - started) / 1000;
const isWithin = ([from, to]: readonly [number, number]) => seconds() >= from && seconds() < to;

await Promise.all([trouble(), ...emails.map((email) => user(email))]);
const panels = await readPanels();
prometheus.child.kill();
await once(prometheus.child, 'exit');
rmSync(prometheus.folder, { recursive: true });

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, deviceScaleFactor: 1.5 });
await page.setContent(drawDashboard(panels, DURATION));
writeFileSync(root('docs/images/dashboard.png'), await page.locator('main').screenshot());
await browser.close();
server.closeAllConnections();
server.close();
client.destroy();
await Promise.all([stop(redis), workos.close(), other.close(), exporter.shutdown()]);

async function startPrometheus() {
  const folder = mkdtempSync(join(tmpdir(), 'authkit-dashboard-'));
  const file = join(folder, 'prometheus.yml');
  const target = `{ targets: ['127.0.0.1:${metricsPort}'] }`;
  writeFileSync(
    file,
    `global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: app, static_configs: [${target}] }]\n`,
  );
  const address = `127.0.0.1:${await freePort()}`;
  const data = join(folder, 'data');
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${data}`,
    `--web.listen-address=${address}`,
    '--log.level=error',
  ];
  const child = spawn('prometheus', args, { stdio: 'ignore' });
  process.once('exit', () => child.kill());
  const url = `http://${address}`;
  while (!(await fetch(`${url}/-/ready`).catch(() => undefined))?.ok) await wait(100);
  return { child, folder, url };
}

/** What goes wrong, and when. */
async function trouble(): Promise<void> {
  await wait(OUTAGE[0] * 1000);
  workos.fail({ on: 'refresh', status: 503 });
  await wait((OUTAGE[1] - OUTAGE[0]) * 1000);
  workos.recover();
  await wait((REDIS_DOWN[0] - OUTAGE[1]) * 1000);
  redis.signal('SIGSTOP');
  await wait((REDIS_DOWN[1] - REDIS_DOWN[0]) * 1000);
  redis.signal('SIGCONT');
}

/** A user who requests pages, and whose session ends now and then. */
async function user(email: string): Promise<void> {
  const page = Math.random() < 0.1 ? '/admin' : '/';
  let cookie = await signIn(email);
  while (seconds() < DURATION) {
    if (seconds() > WRONG_PASSWORD_FROM && Math.random() < 0.3) await get('/', await other.signIn());
    const answer = await get(page, cookie);
    const [set] = answer.headers.getSetCookie().filter((line) => line.startsWith('wos-session='));
    cookie = set?.split(';', 1)[0] ?? cookie;
    if (answer.status === 401) cookie = await signIn(email);
    else if (!isWithin(OUTAGE) && Math.random() < 0.01) await revoke(cookie);
    await wait(400 + Math.random() * 800);
  }
}

function get(path: string, cookie: string): Promise<Response> {
  return fetch(origin + path, { headers: { cookie, accept: 'application/json' } });
}

/** Through AuthKit, as a browser does; one in ten returns with an answer of another browser. */
async function signIn(email: string): Promise<string> {
  const login = await send(`${origin}/login`, { headers: NAVIGATION });
  const callback = await workos.authorize(login.location ?? '', { user: email });
  if (Math.random() < 0.1) await send(callback, { headers: NAVIGATION });
  const cookie = login.setCookies.map((line) => line.split(';', 1)[0]).join('; ');
  const back = await send(callback, { headers: { ...NAVIGATION, cookie } });
  const set = back.setCookies.find((line) => line.startsWith('wos-session='));
  return set?.split(';', 1)[0] ?? '';
}

/** WorkOS sends a webhook. One in five has a signature that is not valid. */
async function revoke(cookie: string): Promise<void> {
  const { sessionId } = (await (await get('/', cookie)).json()) as { sessionId?: string };
  if (sessionId === undefined) return;
  const { body, headers } = workos.webhook('session.revoked', { id: sessionId });
  const isForged = Math.random() < 0.2;
  await fetch(`${origin}/webhooks/workos`, {
    method: 'POST',
    headers: { ...headers },
    body: isForged ? `${body} ` : body,
  });
}

interface Dashboard {
  panels: (Omit<DrawnPanel, 'series'> & { targets: { expr: string; legendFormat: string }[] })[];
}

/** The panels of the dashboard with what Prometheus answers to their queries. */
async function readPanels(): Promise<DrawnPanel[]> {
  const file = readFileSync(root('example/opentelemetry/grafana-dashboard.json'), 'utf8');
  const { panels: all } = JSON.parse(file) as Dashboard;
  return Promise.all(
    all.map(async ({ targets, ...panel }) => ({
      ...panel,
      series: (await Promise.all(targets.map(query))).flat(),
    })),
  );
}

async function query({ expr, legendFormat }: { expr: string; legendFormat: string }): Promise<Series[]> {
  const parameters = new URLSearchParams({
    query: expr.replaceAll('$__rate_interval', '8s'),
    start: String(started / 1000),
    end: String(started / 1000 + DURATION),
    step: '1',
  });
  const answer = await fetch(`${prometheus.url}/api/v1/query_range?${parameters}`);
  const body = (await answer.json()) as {
    error?: string;
    data?: { result: { metric: Record<string, string>; values: [number, string][] }[] };
  };
  if (!body.data) throw new Error(`${expr}: ${body.error ?? answer.status}`);
  return body.data.result.map(({ metric, values }) => ({
    name: legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '').trim(),
    points: values.map(([time, value]) => [time - started / 1000, Number(value)] as const),
  }));
}
