/**
 * The error of a failed system call: which call, which errno, and what it was about. It must never be thrown
 * without a subject: "EPERM" alone helps nobody who reads it in a docker client.
 */
import { constants } from 'node:os';

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** Calls that a supported kernel has, and the first kernel that has them (man pages, section VERSIONS). */
const introduced: Readonly<Record<string, string>> = {
  open_tree: '5.2',
  move_mount: '5.2',
  openat2: '5.6',
  mount_setattr: '5.12',
};

/** A system call that failed. `code` is the errno's name, as in Node's own errors. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly code: string;

  constructor(
    readonly syscall: string,
    readonly errno: number,
    /** What the call was about, in words: a path, a pair of paths. */
    readonly subject: string,
  ) {
    const code = names.get(errno) ?? `errno ${errno}`;
    const since = introduced[syscall];
    super(
      code === 'ENOSYS' && since !== undefined
        ? `this kernel has no ${syscall} (Linux ${since} and later have it): ${subject}`
        : `${syscall} failed with ${code}: ${subject}`,
    );
    this.code = code;
  }
}
