import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { findProgram } from './programs.js';
import type { BrowserCookie, RealBrowser, Tab } from './real-browsers.js';

interface WebKitPrograms {
  driver: string;
  xvfb: string;
  browser: string;
}

/** Debian installs MiniBrowser outside PATH, in a separate folder for each architecture and version. */
export function findWebKit(): WebKitPrograms | undefined {
  const [driver, xvfb] = [findProgram('WebKitWebDriver'), findProgram('Xvfb')];
  const folders = existsSync('/usr/lib')
    ? readdirSync('/usr/lib').filter((name) => name.includes('-linux-'))
    : [];
  const browser = folders
    .flatMap((folder) => ['6.0', '4.1', '4.0'].map((version) => [folder, version] as const))
    .map(([folder, version]) =>
      join('/usr/lib', folder, version === '6.0' ? 'webkitgtk-6.0' : `webkit2gtk-${version}`, 'MiniBrowser'),
    )
    .find((path) => existsSync(path));
  if (driver === undefined || xvfb === undefined || browser === undefined) return undefined;
  return { driver, xvfb, browser };
}

interface Driver {
  process: ChildProcess;
  command: Command;
}

/** Starts WebKitGTK's MiniBrowser on its own display. Each user is a driver session, which starts without cookies. */
export async function launchWebKit({ driver, xvfb, browser }: WebKitPrograms): Promise<RealBrowser> {
  const display = await startDisplay(xvfb);
  const drivers: Driver[] = [];
  // A driver can have only one session at a time.
  const idle: Driver[] = [];
  return {
    name: 'WebKit',
    async newUser({ blockCookies = false } = {}) {
      const own = idle.pop() ?? (await startDriver(driver, display.name));
      if (!drivers.includes(own)) drivers.push(own);
      const args = ['--automation', ...(blockCookies ? ['--cookies-policy=never'] : [])];
      const alwaysMatch = {
        acceptInsecureCerts: true,
        'webkitgtk:browserOptions': { binary: browser, args },
      };
      const created = await own.command('POST', '/session', { capabilities: { alwaysMatch } });
      const { sessionId } = created as { sessionId: string };
      const session: Command = (method, path, body) =>
        own.command(method, `/session/${sessionId}${path}`, body);
      return {
        tab: tabOf(session, (await session('GET', '/window')) as string),
        async close() {
          await session('DELETE', '');
          idle.push(own);
        },
      };
    },
    async close() {
      await Promise.all(drivers.map(({ process }) => stop(process)));
      await stop(display.process);
    },
  };
}

async function startDriver(program: string, display: string): Promise<Driver> {
  const port = await freePort();
  // Containers do not allow the sandbox.
  const env = { ...process.env, DISPLAY: display, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' };
  const driver: Driver = {
    process: spawn(program, [`--port=${port}`], { env, stdio: 'ignore' }),
    command: (method, path, body) => sendCommand(`http://127.0.0.1:${port}${path}`, method, body),
  };
  await untilReady(() => driver.command('GET', '/status'));
  return driver;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await ended;
}

/** Xvfb picks a free display and writes its number to a file descriptor. */
async function startDisplay(xvfb: string): Promise<{ name: string; process: ChildProcess }> {
  const args = ['-displayfd', '3', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'];
  const child = spawn(xvfb, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const number = await new Promise<string>((resolve, reject) => {
    child.stdio[3]!.once('data', (data: Buffer) => {
      resolve(data.toString().trim());
    });
    child.once('error', reject).once('exit', () => {
      reject(new Error('Xvfb did not start'));
    });
  });
  return { name: `:${number}`, process: child };
}

async function untilReady(probe: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await probe();
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

type Command = (method: string, path: string, body?: object) => Promise<unknown>;

/** Sends a WebDriver command (https://www.w3.org/TR/webdriver2/). */
async function sendCommand(url: string, method: string, body: object | undefined): Promise<unknown> {
  const response = await fetch(url, {
    method,
    ...(body || method === 'POST' ? { body: JSON.stringify(body ?? {}) } : {}),
  });
  const { value } = (await response.json()) as { value: unknown };
  if (!response.ok) throw new Error(`${method} ${url}: ${JSON.stringify(value)}`);
  return value;
}

/** The key under which WebDriver returns an element reference. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

function tabOf(session: Command, handle: string): Tab {
  const here: Command = async (method, path, body) => {
    await session('POST', '/window', { handle });
    return session(method, path, body);
  };
  const find = async (xpath: string) => {
    const found = (await here('POST', '/element', { using: 'xpath', value: xpath })) as Record<
      string,
      string
    >;
    return found[ELEMENT]!;
  };
  const run = async <T>(expression: string) =>
    (await here('POST', '/execute/sync', { script: `return ${expression}`, args: [] })) as T;
  return {
    open: async (url) => {
      await here('POST', '/url', { url });
    },
    reload: async () => {
      await here('POST', '/refresh');
    },
    url: () => run('location.href'),
    async click(xpath, count = 1) {
      const element = await find(xpath);
      if (count === 1) await here('POST', `/element/${element}/click`);
      else await doubleClick(here, element);
    },
    run,
    async frameText(name) {
      const element = await find(`//iframe[@name="${name}"]`);
      await session('POST', '/frame', { id: { [ELEMENT]: element } });
      try {
        const script = 'return document.body ? document.body.innerText : ""';
        return (await session('POST', '/execute/sync', { script, args: [] })) as string;
      } finally {
        await session('POST', '/frame', { id: null });
      }
    },
    cookies: async () => (await here('GET', '/cookie')) as BrowserCookie[],
    async another() {
      const { handle: other } = (await here('POST', '/window/new', { type: 'tab' })) as { handle: string };
      return tabOf(session, other);
    },
  };
}

async function doubleClick(command: Command, element: string): Promise<void> {
  const down = { type: 'pointerDown', button: 0 };
  const up = { type: 'pointerUp', button: 0 };
  const move = { type: 'pointerMove', x: 0, y: 0, duration: 0, origin: { [ELEMENT]: element } };
  const actions = [move, down, up, down, up];
  await command('POST', '/actions', { actions: [{ type: 'pointer', id: 'mouse', actions }] });
}
