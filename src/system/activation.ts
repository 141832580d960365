/**
 * Listening sockets that systemd opened for this process (sd_listen_fds(3)): clients that come while the daemon is
 * started anew wait in them instead of being refused.
 */
import { readFileSync, readlinkSync } from 'node:fs';

/** Where the descriptors begin (SD_LISTEN_FDS_START). */
const firstDescriptor = 3;

/**
 * The handed-over Unix sockets by the path they are bound to; none without socket activation. The variables that tell
 * of them are removed, so that no child takes them for its own.
 */
export function takeActivatedSockets(environment: NodeJS.ProcessEnv): ReadonlyMap<string, number> {
  const [pid, count] = [Number(environment['LISTEN_PID']), Number(environment['LISTEN_FDS'])];
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete environment[name];
  if (pid !== process.pid || !Number.isInteger(count)) return new Map();
  const paths = pathsByInode();
  const descriptors = Array.from({ length: count }, (_, index) => firstDescriptor + index);
  return new Map(
    descriptors.flatMap((descriptor) => {
      const [, inode = ''] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`)) ?? [];
      const path = paths.get(inode);
      return path === undefined ? [] : [[path, descriptor] as const];
    }),
  );
}

/** The paths of the Unix sockets of this network namespace (proc_pid_net(5), `unix`). */
function pathsByInode(): Map<string, string> {
  const lines = readFileSync('/proc/self/net/unix', 'utf8').split('\n').slice(1);
  return new Map(
    lines.flatMap((line) => {
      const [, , , , , , inode, ...path] = line.trim().split(/\s+/);
      return inode === undefined || path.length === 0 ? [] : [[inode, path.join(' ')] as const];
    }),
  );
}
