import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { finding, type Finding } from './finding.js';

export function node(nodeVersion: string): Finding {
  return isAtLeast(nodeVersion, 20, 19)
    ? finding('node', 'ok', `Node ${nodeVersion}.`)
    : finding('node', 'problem', `Node ${nodeVersion} is too old: use 20.19 or later.`);
}

/** @param folder Of the application, from which it loads its packages. */
export function packages(folder: string): Finding[] {
  const sdk = versionOf('@workos-inc/node', folder);
  const express = versionOf('express', folder);
  const findings = [];
  if (sdk === undefined) {
    findings.push(
      finding('packages', 'problem', '@workos-inc/node is not installed: npm install @workos-inc/node'),
    );
  } else if (!isAtLeast(sdk, 10, 14)) {
    findings.push(finding('packages', 'problem', `@workos-inc/node ${sdk} is too old: use 10.14 or later.`));
  } else if (isAtLeast(sdk, 12, 0)) {
    findings.push(
      finding('packages', 'warning', `@workos-inc/node ${sdk} is newer than what was tested: 10 and 11.`),
    );
  } else findings.push(finding('packages', 'ok', `@workos-inc/node ${sdk}.`));
  if (express === undefined)
    findings.push(finding('packages', 'ok', 'No Express: Connect or node:http, then.'));
  else if (!isAtLeast(express, 4, 20))
    findings.push(finding('packages', 'problem', `Express ${express} is too old: use 4.20 or later.`));
  else findings.push(finding('packages', 'ok', `Express ${express}.`));
  return findings;
}

/** By looking, not by loading: a package may keep its package.json out of its exports. */
function versionOf(name: string, folder: string): string | undefined {
  const folders = createRequire(join(folder, 'index.js')).resolve.paths(name) ?? [];
  const file = folders.map((path) => join(path, name, 'package.json')).find(existsSync);
  return file === undefined
    ? undefined
    : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [has = 0, with_ = 0] = version.replace(/^v/, '').split('.').map(Number);
  return has > major || (has === major && with_ >= minor);
}
