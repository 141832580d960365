/**
 * Starts a short program without copying this process: Node's own `spawn` forks, which copies the page tables of a
 * daemon that has 140 MB resident and makes each of its pages fault once more, 4 ms in which nothing else is done.
 * posix_spawn(3) shares the memory until the program runs. The child is this process's own: until it is reaped, its
 * number is nobody else's.
 */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import koffi from 'koffi';
import { rawSocketPair } from './socket-pair.js';
import { SystemCallError } from './system-error.js';

const EINTR = koffi.os.errno['EINTR'];
/** posix_spawn_file_actions_t has 80 bytes in glibc and in musl. */
const fileActionsBytes = 256;

const library = koffi.load(null);
const initFileActions: (actions: Buffer) => number = library.func(
  'int posix_spawn_file_actions_init(void *actions)',
);
const addDuplicate: (actions: Buffer, from: number, to: number) => number = library.func(
  'int posix_spawn_file_actions_adddup2(void *actions, int from, int to)',
);
const destroyFileActions: (actions: Buffer) => number = library.func(
  'int posix_spawn_file_actions_destroy(void *actions)',
);
const posixSpawn: (
  pid: Buffer,
  path: string,
  actions: Buffer,
  attributes: null,
  argv: readonly (string | null)[],
  environment: readonly (string | null)[],
) => number = library.func(
  'int posix_spawn(void *pid, const char *path, void *actions, void *attributes, const char **argv, const char **environment)',
);
const waitpid: (pid: number, status: null, options: number) => number = library.func(
  'int waitpid(int pid, void *status, int options)',
);

/** A program that was started with one socket as its standard input, output and error. */
export interface LeanChild {
  readonly pid: number;
  /** The other end: its `end` says that the program, and whatever it started, has ended or closed its streams. */
  readonly socket: Socket;
}

/**
 * Starts a program.
 * @param path absolute
 * @param argv with the program's own name first
 * @throws SystemCallError when it can't be started
 */
export function leanSpawn(
  path: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): LeanChild {
  if ([path, ...argv].some((text) => text.includes('\0'))) throw new SystemCallError('posix_spawn', 22, path);
  const [near, far] = rawSocketPair();
  try {
    return { pid: spawnOn(far, path, argv, environment), socket: new Socket({ fd: near }) };
  } catch (problem) {
    closeSync(near);
    throw problem;
  } finally {
    closeSync(far);
  }
}

function spawnOn(
  stream: number,
  path: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): number {
  const actions = Buffer.alloc(fileActionsBytes);
  const pid = Buffer.alloc(4);
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  checked(initFileActions(actions), path);
  try {
    for (const descriptor of [0, 1, 2]) checked(addDuplicate(actions, stream, descriptor), path);
    checked(posixSpawn(pid, path, actions, null, [...argv, null], [...variables, null]), path);
  } finally {
    destroyFileActions(actions);
  }
  return pid.readInt32LE(0);
}

/** These functions return the errno itself. */
function checked(errno: number, subject: string): void {
  if (errno !== 0) throw new SystemCallError('posix_spawn', errno, subject);
}

/** Waits for a child that was killed, or that has ended: from then on its number may be another process's. */
export function reap(pid: number): void {
  while (waitpid(pid, null, 0) < 0 && koffi.errno() === EINTR);
}
