/**
 * A lock between processes that the kernel takes back when its holder dies (flock(2), held through flock(1) of
 * util-linux, which Debian marks essential). Must never be decided by a file's age or by a noted process id.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Runs `work` while this process alone holds the lock on `path`; waits as long as another one holds it. */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  // `cat` ends when our end of its input closes, which also happens when this process is killed.
  const holder = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo locked && exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'close');
  try {
    const [first] = await Promise.race([once(holder.stdout, 'data'), ended]);
    if (!Buffer.isBuffer(first)) throw new Error(`flock could not lock ${path} (exit code ${first})`);
    return await work();
  } finally {
    holder.stdin.end();
    await ended.catch(() => undefined);
  }
}
