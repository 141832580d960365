/**
 * The project's own source files, for the tests of its laws.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Source {
  /** Path from the project's root. */
  readonly path: string;
  readonly text: string;
}

/** Every file with one of the endings below the folders that are there. */
export function sources(folders: readonly string[], endings: readonly string[]): Source[] {
  const present = new Set(readdirSync(root));
  return folders
    .filter((folder) => present.has(folder.split('/')[0] ?? ''))
    .flatMap((folder) => readdirSync(join(root, folder), { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') }));
}
