import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Returns the path of a program on PATH. Of several names, the first one found is used. */
export function findProgram(...names: string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
}

const POSTGRESQL = '/usr/lib/postgresql';

/** Debian installs the PostgreSQL server outside PATH, in a separate folder for each version. */
export function findPostgres(): string | undefined {
  const versions = existsSync(POSTGRESQL) ? readdirSync(POSTGRESQL).sort().reverse() : [];
  const paths = versions.map((version) => join(POSTGRESQL, version, 'bin/postgres'));
  return findProgram('postgres') ?? paths.find((path) => existsSync(path));
}

/** The path in an environment variable, if that file exists. */
export function programAt(variable: string): string | undefined {
  const path = process.env[variable];
  return path !== undefined && existsSync(path) ? path : undefined;
}
