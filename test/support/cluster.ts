import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { request, type Agent } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { bundleWithPackages } from './bundle.js';
import type { ProcessSettings } from './cluster-process.js';

let program: Promise<string> | undefined;

export interface Member {
  child: ChildProcess;
  port: number;
  /** Accepts no new requests, responds to the current ones, then ends. */
  retire: () => Promise<void>;
}

export async function startMember(settings: ProcessSettings): Promise<Member> {
  const env = { ...process.env, DEBUG: '' };
  program ??= bundleWithPackages('cluster-process', 'test/support/cluster-process.ts');
  const child = fork(await program, [JSON.stringify(settings)], { execArgv: ['--expose-gc'], env });
  const ended = once(child, 'exit').then(() => undefined);
  const message = await Promise.race([once(child, 'message'), ended]);
  if (!message) throw new Error('the process ended before it listened: its error is above');
  const [port] = message as [number];
  const retire = async () => {
    child.send('retire');
    await once(child, 'exit');
  };
  return { child, port, retire };
}

export async function endMember({ child }: Member): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Gives all processes one address. Each connection goes to the next process that accepts it. */
export async function balance(members: Member[]) {
  let turn = 0;
  const server = createServer((socket) => {
    const attempt = (left: number) => {
      const member = members[turn++ % members.length];
      if (!member || left === 0) return void socket.destroy();
      const upstream = connect(member.port, '127.0.0.1');
      upstream.once('error', () => {
        attempt(left - 1);
      });
      upstream.once('connect', () => {
        upstream.removeAllListeners('error');
        const end = () => {
          socket.destroy();
          upstream.destroy();
        };
        for (const side of [socket, upstream]) side.on('error', end).on('close', end);
        socket.pipe(upstream).pipe(socket);
      });
    };
    socket.on('error', () => undefined);
    attempt(members.length);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, close: () => server.close() };
}

export interface Answered {
  status: number;
  email: string | undefined;
  /** The response body. */
  said: string;
  /** The session cookie that was set, as `name=value`; empty if it was cleared. */
  cookie: string | undefined;
}

/** Requests `/account`. If the connection breaks before a response, it tries again, because the request is a GET. */
export async function account(port: number, agent: Agent, cookie: string): Promise<Answered> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask(port, agent, cookie);
    } catch (error) {
      if (tries === 10) throw error;
      await wait(20);
    }
  }
}

function ask(port: number, agent: Agent, cookie: string): Promise<Answered> {
  const headers = { cookie, accept: 'application/json' };
  return new Promise((resolve, reject) => {
    const req = request({ port, host: '127.0.0.1', path: '/account', headers, agent }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      res.on('end', () => {
        const [line] = (res.headers['set-cookie'] ?? []).filter((one) => one.startsWith('wos-session='));
        const said = Buffer.concat(chunks).toString();
        const body = JSON.parse(said || '{}') as { email?: string };
        resolve({
          status: res.statusCode ?? 0,
          email: body.email,
          said,
          cookie: line?.split(';', 1)[0]?.replace(/^wos-session=$/, ''),
        });
      });
    });
    req.on('error', reject).end();
  });
}
