import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../support/documentation.js';

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}

interface Job {
  permissions?: Record<string, string>;
  needs?: string;
  steps: Step[];
}

const folder = join(ROOT, '.github/workflows');
const workflows = readdirSync(folder).map((file) => {
  const workflow = parse(readFileSync(join(folder, file), 'utf8')) as {
    permissions?: Record<string, string>;
    jobs: Record<string, Job>;
  };
  return { file, ...workflow };
});
/** What GitHub Pages requires. npm trusts only the release workflow. */
const PUBLISHES_PAGES = { pages: 'write', 'id-token': 'write' };
const stepsOf = (jobs: Record<string, Job>) => Object.values(jobs).flatMap(({ steps }) => steps);

describe.each(workflows)('the workflow $file', ({ permissions, jobs }) => {
  test('its actions are pinned by commit', () => {
    for (const { uses } of stepsOf(jobs)) if (uses) expect(uses).toMatch(/^[\w-]+\/[\w-]+@[\da-f]{40}$/);
  });

  test('no checkout leaves credentials behind', () => {
    for (const step of stepsOf(jobs).filter(({ uses }) => uses?.startsWith('actions/checkout@')))
      expect(step.with?.['persist-credentials']).toBe(false);
  });

  test('T59 a job that may publish runs nothing of this repository', () => {
    expect(permissions).not.toHaveProperty('id-token');
    for (const job of Object.values(jobs).filter(({ permissions: own }) => own?.['id-token'] !== undefined)) {
      expect(job.needs).toBeDefined();
      expect([{ 'id-token': 'write' }, PUBLISHES_PAGES]).toContainEqual(job.permissions);
      for (const { uses = '', run = '' } of job.steps) {
        expect(uses).not.toContain('actions/checkout');
        if (run !== '') expect(run).toMatch(/^npm publish \.\/authkit-express-\*\.tgz .*--ignore-scripts$/);
      }
    }
  });
});

test('T59 one job of the release may publish', () => {
  const { jobs } = workflows.find(({ file }) => file === 'release.yml')!;
  const publishing = Object.entries(jobs).filter(
    ([, { permissions }]) => permissions?.['id-token'] === 'write',
  );
  expect(publishing.map(([name]) => name)).toEqual(['publish']);
});

test('the site is published by a job that runs nothing but the deployment', () => {
  const { jobs } = workflows.find(({ file }) => file === 'site.yml')!;
  expect(jobs['deploy']?.permissions).toEqual(PUBLISHES_PAGES);
  expect(jobs['deploy']?.steps.map(({ uses }) => uses?.split('@')[0])).toEqual(['actions/deploy-pages']);
  expect(jobs['build']?.permissions).toEqual({ contents: 'read' });
});
