/**
 * The filesystem ids of the calling thread, changed for the time of one synchronous function. They must never
 * stay changed: whatever happens in between, they are put back before anything else runs.
 */
import { capget, capset, setfsgid, setfsuid } from './libc.js';

const LINUX_CAPABILITY_VERSION_3 = 0x20080522;

function header(): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0);
  return buffer;
}

/** Two `struct __user_cap_data_struct` of three 32-bit words: effective, permitted, inheritable. */
function capabilities(): Buffer {
  const data = Buffer.alloc(24);
  capget(header(), data);
  return data;
}

/**
 * Runs `work` with other filesystem ids but all capabilities of before: setfsuid(2) drops the file capabilities
 * when the id changes from 0, so they are raised again. Only synchronous work: credentials belong to the thread.
 */
export function withFilesystemIds<Result>(uid: number, gid: number, work: () => Result): Result {
  const before = capabilities();
  const previousGid = setfsgid(gid);
  const previousUid = setfsuid(uid);
  try {
    capset(header(), before);
    return work();
  } finally {
    setfsuid(previousUid);
    setfsgid(previousGid);
    capset(header(), before);
  }
}
