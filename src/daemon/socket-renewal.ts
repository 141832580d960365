/**
 * Gives running containers their Docker socket back after a restart: a socket's file ends with the process that
 * listened on it, and containers hold a mount of the old one. The new one is mounted over it in each of them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { EngineClient } from '../engine/client.js';
import { MountTable } from '../system/mount-table.js';
import { cloneTree, closeTree, setAttributes } from '../system/mounts.js';
import { readIdMap } from '../system/namespaces.js';
import type { ContainerRecord } from '../uid-allocator/record.js';

const program = fileURLToPath(new URL('./mount-socket.js', import.meta.url));
const stateSchema = z.object({ State: z.object({ Running: z.boolean(), Pid: z.number() }) });

/** As the kernel names the file of a socket that is gone. */
const deleted = '//deleted';

export interface SocketRenewalOptions {
  readonly client: EngineClient;
  readonly records: readonly ContainerRecord[];
  /** The new socket for containers, listening already. */
  readonly socket: string;
  readonly log: Pick<Logger, 'info' | 'error'>;
}

/** Renews the sockets of all running containers that were granted one. Never rejects: a failure is logged. */
export async function renewSockets({ client, records, socket, log }: SocketRenewalOptions): Promise<void> {
  for (const record of records) {
    if (!record.mounts.some(({ ownSocket }) => ownSocket === true)) continue;
    try {
      const renewed = await renew(record, client, socket);
      if (renewed > 0) log.info({ container: record.id }, 'the container has its Docker socket again');
    } catch (error) {
      log.error(
        { err: error, container: record.id },
        'the Docker socket of a container could not be renewed',
      );
    }
  }
}

async function renew(record: ContainerRecord, client: EngineClient, socket: string): Promise<number> {
  const { State } = await client.get(`/containers/${record.id}/json`, stateSchema);
  if (!State.Running || State.Pid === 0) return 0;
  // The process must be one of this very container, whatever has become of the number since.
  if (readIdMap(State.Pid, 'uid_map')[0]?.hostId !== record.range.base) return 0;
  const mountPoints = new Set(
    MountTable.read(State.Pid)
      .entries.filter(({ root }) => root.endsWith(`/sockets/docker.sock${deleted}`))
      .map(({ mountPoint }) => mountPoint),
  );
  for (const mountPoint of mountPoints) await mountOver(mountPoint, State.Pid, socket);
  return mountPoints.size;
}

async function mountOver(mountPoint: string, pid: number, socket: string): Promise<void> {
  const users = openSync(`/proc/${pid}/ns/user`, 'r');
  const mounts = openSync(`/proc/${pid}/ns/mnt`, 'r');
  const tree = cloneTree(socket, { recursive: false });
  try {
    setAttributes(tree, { userNamespace: users, recursive: false, propagation: 'private' });
    const child = spawn(process.execPath, [program, mountPoint], {
      stdio: ['ignore', 'ignore', 'pipe', tree.descriptor, mounts],
      // A container's file systems may be its own doing, and never answer.
      timeout: 10_000,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr?.on('data', (piece: Buffer) => {
      said += piece.toString();
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`mounting at ${mountPoint} failed: ${said.trim().slice(-500)}`);
  } finally {
    closeTree(tree);
    closeSync(mounts);
    closeSync(users);
  }
}
