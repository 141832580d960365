/**
 * Which folders of the host may be mounted at all, where the settings list them: Docker Desktop's
 * `filesharingAllowedDirectories`. Folders are compared by their real paths, so that no link leads out of them.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { SharedFolder } from '../settings/schema.js';

/** True when a path lies in one of the folders, or is one. @param real every link on the way resolved */
export function isShared(real: string, uid: number, folders: readonly SharedFolder[]): boolean {
  return folders.some(({ path }) => {
    const folder = resolved(expanded(path, uid));
    if (folder === undefined) return false;
    return folder === '/' || real === folder || real.startsWith(`${folder}/`);
  });
}

/** The path with a caller's home in place of `$HOME`; `undefined` where the caller has none. */
function expanded(path: string, uid: number): string | undefined {
  const [, name, rest = ''] = /^\$(HOME|TMP|TEMP)(\/.*)?$/.exec(path) ?? [];
  if (name === undefined) return path;
  const base = name === 'HOME' ? homeOf(uid) : '/tmp';
  return base === undefined ? undefined : base + rest;
}

/** A user's home as passwd(5) has it; the root folder is nobody's home. */
function homeOf(uid: number): string | undefined {
  const home = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields[2] === String(uid))?.[5];
  return home === undefined || !isAbsolute(home) || home === '/' ? undefined : home;
}

function resolved(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return realpathSync(path);
  } catch {
    // A folder that isn't there has no content to share.
    return undefined;
  }
}
