/** CPU time and memory of a process with all its threads, from /proc (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';

/** CPU time that these processes used so far, in microseconds; nanoseconds are what the scheduler counts. */
export function cpuMicroseconds(pids: readonly number[]): number {
  let total = 0n;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [onCpu = '0'] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      total += BigInt(onCpu);
    }
  }
  return Number(total / 1000n);
}

/**
 * Resident memory of these processes in KiB: proportional shares, so that forked workers aren't counted twice; or of
 * the first one all that is resident, also what it shares with others (programs and libraries).
 */
export function residentKibibytes(pids: readonly number[], { shared = false } = {}): number {
  return pids
    .map((pid, at) => {
      const field = shared && at === 0 ? /^Rss:\s+(\d+)/m : /^Pss:\s+(\d+)/m;
      return Number(field.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    })
    .reduce((sum, value) => sum + value, 0);
}

/** A process and its descendants. */
export function processTree(root: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return [{ pid: Number(name), parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) }];
      } catch {
        return [];
      }
    });
  const found = [root];
  for (const pid of found)
    found.push(...parents.filter(({ parent }) => parent === pid).map((child) => child.pid));
  return found;
}
