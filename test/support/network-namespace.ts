/** A network namespace for an engine of a test: its bridges and packet filter rules can't meet another's. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface NetworkNamespace {
  /** Arguments of nsenter(1) that lead into it. */
  readonly enter: readonly string[];
  /** Lets it go; the kernel deletes it with the last process in it. */
  close(): void;
}

/**
 * Opens a network namespace with its loopback interface up. With `hide` it also is a mount namespace in which
 * nothing answers on that path.
 */
export async function openNetworkNamespace(options: { hide?: string } = {}): Promise<NetworkNamespace> {
  const { hide } = options;
  // `cat` ends with this process, because its input does.
  const script =
    'ip link set lo up && { [ ! -e "$1" ] || mount --bind /dev/null "$1"; } && echo ready && exec cat';
  const own = hide === undefined ? ['--net'] : ['--net', '--mount', '--propagation', 'slave'];
  const holder = spawn('unshare', [...own, 'sh', '-c', script, 'sh', hide ?? ''], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
  if (holder.exitCode !== null)
    throw new Error('no network namespace: are iproute2 and util-linux installed?');
  const namespaces = `/proc/${holder.pid}/ns`;
  return {
    enter: [`--net=${namespaces}/net`, ...(hide === undefined ? [] : [`--mount=${namespaces}/mnt`])],
    close() {
      holder.kill('SIGKILL');
    },
  };
}
