/**
 * Which process is meant by a pid: the pid alone is used again, together with the start time it is not.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** `startTime` is in clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)). */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** The identity of a live process; `undefined` when there is none, or only a zombie is left of it. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command's name is in parentheses and may hold blanks and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTime = fields[19];
  if (state === undefined || startTime === undefined || state === 'Z' || state === 'X') return undefined;
  return { pid, startTime };
}

/**
 * What a process calls itself (proc_pid_comm(5)), without characters that a terminal would obey; `undefined` when it
 * ended. It can call itself as it likes: a hint for people, no proof.
 */
export function processName(pid: number): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(`/proc/${pid}/comm`, 'r');
  } catch {
    return undefined;
  }
  try {
    // Asked for each connection: half the time of readFileSync.
    const length = readSync(descriptor, nameBuffer, 0, nameBuffer.length, null);
    return nameBuffer
      .toString('latin1', 0, length)
      .trimEnd()
      .replace(/[^\x20-\x7e]/g, '?');
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

/** Names have at most 15 bytes (linux/sched.h, TASK_COMM_LEN). */
const nameBuffer = Buffer.alloc(32);

/** True as long as this very process runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return processIdentity(identity.pid)?.startTime === identity.startTime;
}
