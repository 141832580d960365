/**
 * Reads a settings file from disk, and refuses one that anybody but root and the daemon's own user can change:
 * whoever writes this file decides what every container may do.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { maximumBytes, type ParsedSettings, parseSettings } from './parse.js';
import { type SettingsIssue, SettingsProblem } from './problem.js';
import type { Settings } from './schema.js';

/** Where an administrator's file is looked for when none is named. */
export const administratorPath = '/etc/cofferdam/admin-settings.json';

/** The file that comes with the program: what holds when the administrator wrote none. */
export const shippedPath = fileURLToPath(new URL('../../config/admin-settings.json', import.meta.url));

/** A loaded file. */
export interface LoadedSettings extends ParsedSettings {
  readonly path: string;
  readonly source: 'administrator' | 'shipped';
}

const groupWrite = 0o020;
const otherWrite = 0o002;
const sticky = 0o1000;

/** Says who but root and this process could change a file or folder; `undefined` when nobody. */
function foreignWriters(stats: Stats): SettingsIssue | undefined {
  const mode = `0${(stats.mode & 0o7777).toString(8)}`;
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) {
    return { message: `belongs to uid ${stats.uid}`, suggestion: 'chown root:root it' };
  }
  // In a sticky folder (/tmp) only an entry's owner can replace it, and the owner is checked.
  if (stats.isDirectory() && (stats.mode & sticky) !== 0) return undefined;
  if ((stats.mode & (groupWrite | otherWrite)) !== 0) {
    const who = (stats.mode & otherWrite) === 0 ? 'its group' : 'everybody';
    return { message: `can be written by ${who} (mode ${mode})`, suggestion: 'chmod go-w it' };
  }
  return undefined;
}

/** Checks an opened file and every folder above it. */
function checkWriters(path: string, stats: Stats): void {
  const issue = foreignWriters(stats);
  if (issue !== undefined) throw new SettingsProblem(path, [issue]);
  for (let folder = dirname(realpathSync(path)); ; folder = dirname(folder)) {
    const found = foreignWriters(statSync(folder));
    if (found !== undefined) {
      throw new SettingsProblem(path, [{ ...found, message: `its folder ${folder} ${found.message}` }]);
    }
    if (folder === dirname(folder)) return;
  }
}

/** Reads an opened file up to one byte more than is accepted, so that a growing file can't fill the memory. */
function readAll(descriptor: number): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  while (total <= maximumBytes) {
    const chunk = Buffer.alloc(65536);
    const count = readSync(descriptor, chunk);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    total += count;
  }
  return Buffer.concat(chunks);
}

function systemErrorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES') return 'can not be read: permission denied';
  return `can not be read: ${error.message}`;
}

function readFile(path: string, trusted: boolean): Buffer {
  let descriptor: number | undefined;
  try {
    // Non-blocking, so that a FIFO at this path can't hold the daemon.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new SettingsProblem(path, [{ message: 'is not a regular file' }]);
    if (!trusted) checkWriters(path, stats);
    return readAll(descriptor);
  } catch (error) {
    if (error instanceof SettingsProblem) throw error;
    throw new SettingsProblem(path, [{ message: systemErrorText(error) }]);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** True when nothing at all stands at a path; a dangling link or an unreadable file counts as being there. */
function absent(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

/**
 * Loads the settings that hold: the named file, or the administrator's, or the shipped one.
 * Throws a SettingsProblem when the file can't be used; a file that is there but wrong is never passed over.
 */
export function loadSettingsFile(path?: string): LoadedSettings {
  const source = path === undefined && absent(administratorPath) ? 'shipped' : 'administrator';
  const chosen = path ?? (source === 'shipped' ? shippedPath : administratorPath);
  // The shipped file is part of the program: who can change it can change this check as well.
  const bytes = readFile(chosen, source === 'shipped' || chosen === shippedPath);
  return { ...parseSettings(chosen, bytes), path: chosen, source };
}

/** The settings of a file, with every default filled in. Throws a SettingsProblem. */
export function loadSettings(path?: string): Settings {
  return loadSettingsFile(path).settings;
}
