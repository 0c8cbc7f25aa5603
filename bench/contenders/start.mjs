// Measures a cold start: from the import of a contender to its first response, in a process that has loaded nothing yet.
const before = process.cpuUsage();
const start = performance.now();

globalThis.benchAnswered = () => {
  const milliseconds = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  process.send({ milliseconds, cpu: (user + system) / 1000 }, () => process.exit());
};

await import(`./${process.argv[2]}.mjs`);
