// Runs `npm test`: the static checks and the tests. They run at the same time, because the tests often wait for timers
// and sockets. The tests start once the package is packed, because packing changes README.md for a moment. The check of
// the package runs apps with time limits, so only the other checks get a low priority. The output of each check is
// printed in one piece, and not between the lines of the tests.
import { spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';

const shell = process.platform === 'win32';
const failed = [];
const waiting = [];
let areTestsRunning = false;

/** Resolves when a process has ended, with whether it succeeded. */
function end(name, child) {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) failed.push(name);
      resolve(code === 0);
    });
  });
}

/** Resolves when a check has ended. */
async function endCheck(name, child) {
  const chunks = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk));
  const isFine = await end(name, child);
  if (areTestsRunning) waiting.push(...chunks);
  else process.stdout.write(Buffer.concat(chunks));
  if (areTestsRunning && !isFine) console.error(`npm run ${name} failed: see its output after the tests`);
}

/** Lets the tests go first. Processes that this one starts from now on also have a low priority. */
function lowerPriority({ pid }) {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has already ended.
  }
}

async function runChecks(names) {
  for (const name of names) {
    const child = spawn('npm', ['run', '--silent', name], { stdio: ['ignore', 'pipe', 'pipe'], shell });
    lowerPriority(child);
    await endCheck(name, child);
  }
}

async function runTests() {
  areTestsRunning = true;
  await end('check:tests', spawn('npm', ['run', '--silent', 'check:tests'], { stdio: 'inherit', shell }));
  areTestsRunning = false;
  process.stdout.write(Buffer.concat(waiting));
}

// Not through npm, which would not pass the message on that the package is packed.
const packing = spawn(process.execPath, ['scripts/check-package.mjs'], {
  stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
});
const packageCheck = endCheck('check:package', packing);
const otherChecks = runChecks(['check:types', 'check:lint', 'check:format']);
const isPacked = await Promise.race([
  new Promise((resolve) => packing.on('message', () => resolve(true))),
  packageCheck.then(() => false),
]);
if (isPacked) await runTests();
await Promise.all([packageCheck, otherChecks]);
for (const name of failed) console.error(`npm run ${name} failed`);
if (failed.length > 0) process.exitCode = 1;
