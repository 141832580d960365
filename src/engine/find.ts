/**
 * Finds the real engine of this host: its socket, its dockerd process, and the configuration file of that. Must
 * never take cofferdam's own socket for the engine.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isBoundTo, type UnixSocket, unixSockets } from '../system/unix-sockets.js';
import { environmentOf } from './embedded/process-id.js';
import { answers } from './embedded/run.js';

/** dockerd's configuration file where its command line names none (dockerd(8), `--config-file`). */
export const defaultDaemonJson = '/etc/docker/daemon.json';

export interface EngineFlags {
  /** Address of the engine as the person gave it, `unix:///…`. */
  readonly engine?: string | undefined;
  /** Addresses that cofferdam itself listens on, `unix:///…`. */
  readonly listen: readonly string[];
}

/**
 * Finds the engine's socket: the one that was named; else the one in DOCKER_HOST; else /run/docker.sock. The last
 * two count only when an engine answers there and it isn't cofferdam itself.
 * @returns undefined where this host has no engine
 */
export async function findEngine(
  flags: EngineFlags,
  environment: NodeJS.ProcessEnv,
): Promise<{ socket: string } | undefined> {
  if (flags.engine !== undefined) return { socket: socketOf(flags.engine) };
  const own = new Set(flags.listen.map((address) => resolved(socketOf(address))));
  for (const address of [environment['DOCKER_HOST'], 'unix:///run/docker.sock']) {
    // Another transport than a Unix socket says nothing about an engine of this host.
    if (!address?.startsWith('unix://')) continue;
    const socket = socketOf(address);
    if (!own.has(resolved(socket)) && (await answers(socket))) return { socket };
  }
  return undefined;
}

function socketOf(address: string): string {
  return address.slice('unix://'.length);
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * The process id of the dockerd that serves a socket; undefined when there is none that we may look at. Each
 * dockerd is asked for its own view, because Unix sockets are listed by network namespace.
 */
export function enginePid(socket: string): number | undefined {
  const file = statSync(socket, { bigint: true, throwIfNoEntry: false });
  if (file === undefined) return undefined;
  return processIds()
    .filter((pid) => read(`/proc/${pid}/comm`)?.trim() === 'dockerd')
    .find((pid) => {
      const listening = socketsAt(pid, { device: file.dev, inode: file.ino }).filter(
        (found) => found.listening,
      );
      const open = new Set(socketInodes(pid));
      return listening.some(({ inode }) => open.has(inode));
    });
}

/** The sockets of a process's network namespace that are bound to a file, or were accepted there; none when unknown. */
export function socketsAt(pid: number, file: { device: bigint; inode: bigint }): readonly UnixSocket[] {
  try {
    return unixSockets(pid).filter((socket) => isBoundTo(socket, file));
  } catch (error) {
    // The process ended meanwhile, or is not ours to look at.
    if (error instanceof Error && 'code' in error) return [];
    throw error;
  }
}

/** Every process of this PID namespace. */
export function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Inodes of the sockets that a process has open; none when it ended or is not ours to look at. */
export function socketInodes(pid: number): number[] {
  const folder = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(link(join(folder, name)) ?? '') ?? [];
    return inode === undefined ? [] : [Number(inode)];
  });
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The PATH in which an engine's dockerd looks for its programs; empty where its process can't be found. */
export function engineSearchPath(socket: string): { readonly path?: string } {
  const pid = enginePid(socket);
  const entry = (pid === undefined ? [] : environmentOf(pid)).find((line) => line.startsWith('PATH='));
  return entry === undefined ? {} : { path: entry.slice('PATH='.length) };
}

/** What the command line of a dockerd says about its configuration. */
export interface DaemonFlags {
  readonly configFile: string;
  /** Flags that set what setup would write; dockerd refuses to start when a setting is in both places. */
  readonly conflicting: readonly string[];
}

/** Reads the command line of a dockerd, given as its arguments. */
export function daemonFlags(argv: readonly string[]): DaemonFlags {
  const value = (flag: string): string | undefined => {
    const at = argv.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
    const word = argv[at];
    return word?.startsWith(`${flag}=`)
      ? word.slice(flag.length + 1)
      : argv[at === -1 ? argv.length : at + 1];
  };
  return {
    configFile: value('--config-file') ?? defaultDaemonJson,
    conflicting: ['--default-runtime', '--add-runtime'].filter((flag) => value(flag) !== undefined),
  };
}
