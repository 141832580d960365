/**
 * Looks at the file system with somebody else's eyes: the calling thread gets another user's filesystem ids and
 * groups, without root's file capabilities, for the time of one synchronous function. Credentials belong to the
 * thread at the level of the system call, so nothing else of this process sees the change. It must never stay
 * changed: where the thread's own credentials can't be put back, the process ends at once.
 */
import koffi from 'koffi';
import { capget, capset, setfsgid, setfsuid } from './libc.js';
import { SystemCallError } from './system-error.js';

/** Whose eyes: uid, gid and supplementary groups of the host. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** glibc's setgroups(3) changes every thread; the system call itself only its own (nptl(7)). */
const numbers: Partial<Record<NodeJS.Architecture, { getgroups: number; setgroups: number }>> = {
  x64: { getgroups: 115, setgroups: 116 },
  arm64: { getgroups: 158, setgroups: 159 },
  riscv64: { getgroups: 158, setgroups: 159 },
};

const libc = koffi.load(null);
const syscall: (call: number, size: number, list: Buffer) => number = libc.func(
  'long syscall(long call, int size, void *list)',
);

const LINUX_CAPABILITY_VERSION_3 = 0x20080522;

function groupCall(name: 'getgroups' | 'setgroups', size: number, list: Buffer): number {
  const call = numbers[process.arch]?.[name];
  if (call === undefined) throw new SystemCallError(name, 38, `the groups of a thread on ${process.arch}`);
  const result = syscall(call, size, list);
  if (result < 0) throw new SystemCallError(name, koffi.errno(), 'the groups of this thread');
  return result;
}

function threadGroups(): Buffer {
  const count = groupCall('getgroups', 0, Buffer.alloc(4));
  const list = Buffer.alloc(Math.max(4, count * 4));
  return list.subarray(0, groupCall('getgroups', count, list) * 4);
}

function setThreadGroups(list: Buffer): void {
  groupCall('setgroups', list.length / 4, list.length === 0 ? Buffer.alloc(4) : list);
}

function capabilityHeader(): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0);
  return header;
}

/** True for the very credentials of this process, where it isn't root's: a user who asks for an explanation. */
function areOwn({ uid, gid, groups }: Credentials): boolean {
  if (uid !== process.geteuid?.() || gid !== process.getegid?.()) return false;
  const own = process.getgroups?.() ?? [];
  return own.every((group) => groups.includes(group)) && groups.every((group) => own.includes(group));
}

/**
 * Runs `work` as the kernel would for that user: every permission is checked, and what is made belongs to the user.
 * For uid 0 nothing changes: root's eyes see everything; nor for this process's own credentials. Only synchronous work.
 * @throws SystemCallError when the credentials can't be taken on; then `work` didn't run
 */
export function withCallerCredentials<T>({ uid, gid, groups }: Credentials, work: () => T): T {
  if (uid === 0 || areOwn({ uid, gid, groups })) return work();
  const capabilities = Buffer.alloc(24);
  capget(capabilityHeader(), capabilities);
  const ownGroups = threadGroups();
  const wanted = Buffer.alloc(groups.length * 4);
  groups.forEach((group, index) => {
    wanted.writeUInt32LE(group, index * 4);
  });
  setThreadGroups(wanted);
  const ownGid = setfsgid(gid);
  // Leaving uid 0 takes CAP_DAC_OVERRIDE and its like out of the effective set (capabilities(7)).
  const ownUid = setfsuid(uid);
  try {
    // Both calls report no failure but by what they find when called again.
    if (setfsuid(uid) !== uid || setfsgid(gid) !== gid) {
      throw new SystemCallError('setfsuid', 1, `the ids ${uid}:${gid}`);
    }
    return work();
  } finally {
    restore(ownUid, ownGid, ownGroups, capabilities);
  }
}

function restore(uid: number, gid: number, groups: Buffer, capabilities: Buffer): void {
  try {
    setfsuid(uid);
    setfsgid(gid);
    capset(capabilityHeader(), capabilities);
    setThreadGroups(groups);
    if (setfsuid(uid) === uid && setfsgid(gid) === gid) return;
  } catch (error) {
    process.stderr.write(`cofferdam: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  process.stderr.write('cofferdam: the credentials of this thread can’t be put back; ending\n');
  process.abort();
}
