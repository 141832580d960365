/** The Debian package, built from what is compiled. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../packaging/package.mjs', import.meta.url));

/** Builds the package into a folder, always with the same times in it. @returns the path of the file */
export function makePackage(folder: string): string {
  return execFileSync(process.execPath, [script, folder], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
  }).trim();
}
