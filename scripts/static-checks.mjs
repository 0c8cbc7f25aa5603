// Runs the checks of `npm test` that come before the tests. Each uses one core, so they run in two lanes, which take
// about the same time.
import { spawn } from 'node:child_process';

const LANES = [
  ['check:format', 'check:lint'],
  ['check:types', 'check:package'],
];

function run(name) {
  return new Promise((resolve, reject) => {
    const isWindows = process.platform === 'win32';
    const child = spawn('npm', ['run', '--silent', name], { stdio: 'inherit', shell: isWindows });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`npm run ${name} failed`));
    });
  });
}

const results = await Promise.allSettled(
  LANES.map(async (lane) => {
    for (const name of lane) await run(name);
  }),
);
for (const { status, reason } of results) {
  if (status === 'fulfilled') continue;
  console.error(reason.message);
  process.exitCode = 1;
}
