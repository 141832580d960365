/**
 * Which runtime starts the containers after cofferdam prepared them: Sysbox where it works, else runc or crun. It
 * looks and asks for versions, and changes nothing.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readSync, realpathSync, statSync } from 'node:fs';
import { executables, searchFolders } from '../system/program-search.js';
import { RuntimeRefusal } from './refusal.js';

export interface Backend {
  readonly kind: 'runc' | 'sysbox';
  /** Absolute path of the program. */
  readonly binary: string;
  /** As the program tells it, e.g. `runc 1.1.15`. */
  readonly version: string;
  /** Why this one, in words for `doctor` and the start's summary. */
  readonly reason: string;
}

export interface BackendSearch {
  /** Folders like $PATH; the daemon's own and the usual ones where absent. */
  readonly path?: string;
  /** Where sysbox-mgr listens. */
  readonly sysboxSocket?: string;
  /** Takes this kind or fails. */
  readonly only?: 'runc' | 'sysbox';
}

/** runc 1.1.5 is the oldest that was seen to take idmapped roots; crun's idmapped mounts came with 1.8. */
const oldest: Readonly<Record<string, readonly number[]>> = { runc: [1, 1, 5], crun: [1, 8, 0] };

/**
 * Finds the backend.
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST when this host has none that is new enough
 */
export function detectBackend(search: BackendSearch = {}): Backend {
  const folders = searchFolders(search.path);
  const notes: string[] = [];
  if (search.only !== 'runc') {
    const found = findSysbox(folders, search.sysboxSocket ?? '/run/sysbox/sysmgr.sock', notes);
    if (found !== undefined) return found;
  }
  if (search.only !== 'sysbox') {
    for (const name of ['runc', 'crun']) {
      const found = findRunc(name, folders, notes);
      if (found !== undefined) return found;
    }
  }
  throw new RuntimeRefusal(
    'COFFERDAM_RUNTIME_HOST',
    `no OCI runtime to start containers with was found: ${notes.join('; ')}`,
  );
}

function findSysbox(folders: readonly string[], socket: string, notes: string[]): Backend | undefined {
  const binary = findProgram('sysbox-runc', folders);
  if (binary === undefined) {
    notes.push('no sysbox-runc');
  } else if (statSync(socket, { throwIfNoEntry: false })?.isSocket() !== true) {
    notes.push(`sysbox-runc is there, but sysbox-mgr does not listen at ${socket}`);
  } else if (!isProcessRunning('sysbox-mgr')) {
    notes.push('sysbox-runc is there, but sysbox-mgr does not run');
  } else {
    const version = versionOf('sysbox-runc', binary);
    if (version !== undefined) {
      return { kind: 'sysbox', binary, version, reason: 'sysbox-runc is installed and sysbox-mgr runs' };
    }
    notes.push(`${binary} does not tell its version`);
  }
  return undefined;
}

function findRunc(name: string, folders: readonly string[], notes: string[]): Backend | undefined {
  const binary = findProgram(name, folders);
  if (binary === undefined) {
    notes.push(`no ${name}`);
    return undefined;
  }
  const version = versionOf(name, binary);
  const minimum = oldest[name] ?? [];
  if (version === undefined || !isAtLeast(version, minimum)) {
    notes.push(`${binary} is ${version ?? 'unusable'}, ${minimum.join('.')} is needed`);
    return undefined;
  }
  return { kind: 'runc', binary, version, reason: notes.join('; ') };
}

/** A program in the folders that isn't a launcher of ours: that one would start itself for ever. */
function findProgram(name: string, folders: readonly string[]): string | undefined {
  for (const path of executables(name, folders)) {
    try {
      const real = realpathSync(path);
      if (statSync(real).isFile() && !isScript(real)) return real;
    } catch {
      // Gone meanwhile, or not a program: the next folder.
    }
  }
  return undefined;
}

function isScript(path: string): boolean {
  const descriptor = openSync(path, 'r');
  try {
    const start = Buffer.alloc(2);
    readSync(descriptor, start, 0, 2, 0);
    return start.toString('latin1') === '#!';
  } finally {
    closeSync(descriptor);
  }
}

/** `runc version 1.1.15+ds1`; Sysbox writes a line for each property, one of them `version: 0.6.7`. */
function versionOf(name: string, binary: string): string | undefined {
  try {
    const output = execFileSync(binary, ['--version'], { encoding: 'utf8', timeout: 10_000, stdio: 'pipe' });
    const [, version] = /\bversion:?\s+(\S+)/.exec(output) ?? [];
    return version === undefined ? undefined : `${name} ${version}`;
  } catch {
    return undefined;
  }
}

function isAtLeast(version: string, minimum: readonly number[]): boolean {
  const parts = (/\d+(?:\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number);
  for (const [index, wanted] of minimum.entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

function isProcessRunning(name: string): boolean {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readFileSync(`/proc/${entry}/comm`, 'utf8').trim() === name) return true;
    } catch {
      // Ended while we looked.
    }
  }
  return false;
}
