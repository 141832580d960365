/** Where programs are, also for a daemon that was started with a bare environment. */
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

const usualFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The folders of a $PATH, the daemon's own where absent, and behind them the usual ones. */
export function searchFolders(path: string = process.env['PATH'] ?? ''): readonly string[] {
  return [...path.split(delimiter), ...usualFolders];
}

/** Absolute paths of the executables of a name, in the order of the folders; relative folders are left out. */
export function* executables(name: string, folders: readonly string[]): Generator<string> {
  for (const folder of folders) {
    if (!isAbsolute(folder)) continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
    } catch {
      // Not there, or not a program: the next folder.
      continue;
    }
    yield path;
  }
}
