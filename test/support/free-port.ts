import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * A port for a server that is started a moment later. It is below those that Linux gives to outgoing connections
 * (32768 and above), so none of the many connections of other tests takes it in the meantime.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => {
        resolve(false);
      });
      // Without a host, as the servers that are started: on all addresses.
      probe.listen(port, () => {
        resolve(true);
      });
    });
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
}
