/**
 * flock(2): a lock on a file that ends with its holder, however that ends. Imports nothing of ours.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const LOCK_EX = 2;
const EINTR = koffi.os.errno['EINTR'];

const flock = koffi.load(null).func('int flock(int fd, int operation)');

/**
 * Waits for the exclusive lock on `file` (made when missing, mode 0600) and takes it. Blocks the thread: only for
 * locks that are held for a handful of file operations.
 * @returns gives the lock back; may be called once
 * @throws Error with `code` when the file can't be opened or locked
 */
export function lockFile(file: string): () => void {
  const descriptor = openSync(file, 'a', 0o600);
  for (;;) {
    if (flock(descriptor, LOCK_EX) === 0) return () => closeSync(descriptor);
    const errno = koffi.errno();
    if (errno === EINTR) continue;
    closeSync(descriptor);
    throw Object.assign(new Error(`flock ${file}: errno ${errno}`), { code: 'EFLOCK', errno });
  }
}
