/**
 * Who reaches the engine past cofferdam: accounts that may connect to its own socket, processes that are connected,
 * containers that have the socket mounted, TCP ports. What comes that way is judged by nobody. It only looks.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { processName } from '../system/process-identity.js';
import type { EngineClient } from './client.js';
import type { ContainerInspect } from './client-answers.js';
import { enginePid, processIds, socketInodes, socketsAt } from './find.js';

/** `st` of /proc/net/tcp for a listening socket (include/net/tcp_states.h, TCP_LISTEN). */
const tcpListen = '0A';

/** A process with a connection to the engine's own socket. */
export interface ConnectedProcess {
  readonly pid: number;
  /** Its name as it gives it itself: a hint, no proof. */
  readonly command: string;
  readonly uid: number;
  /** Full id of the container that it runs in. */
  readonly container?: string;
}

/** Why an account other than root can reach a socket; `undefined` when none can. */
export function openTo(socket: string): string | undefined {
  const { mode, gid } = statSync(socket);
  if ((mode & 0o002) === 0 && ((mode & 0o020) === 0 || gid === 0)) return undefined;
  for (let folder = dirname(realpathSync(socket)); ; folder = dirname(folder)) {
    const stats = statSync(folder);
    if ((stats.mode & 0o001) === 0 && ((stats.mode & 0o010) === 0 || stats.gid === 0)) return undefined;
    if (folder === dirname(folder)) break;
  }
  return (mode & 0o002) !== 0 ? 'everybody' : `group ${gid}`;
}

/**
 * The processes that are connected to the engine's socket, except those named; `undefined` when dockerd's process
 * can't be found, so that nothing is known.
 * @param own process ids that belong there: the daemon's, the caller's
 */
export function connectedProcesses(socket: string, own: readonly number[]): ConnectedProcess[] | undefined {
  const engine = enginePid(socket);
  if (engine === undefined) return undefined;
  const { dev: device, ino: inode } = statSync(socket, { bigint: true });
  const ends = new Set(socketsAt(engine, { device, inode }).flatMap(({ peer }) => (peer ? [peer] : [])));
  if (ends.size === 0) return [];
  const skipped = new Set([...own, engine]);
  return processIds()
    .filter((pid) => !skipped.has(pid) && socketInodes(pid).some((open) => ends.has(open)))
    .flatMap((pid) => describeProcess(pid) ?? []);
}

function describeProcess(pid: number): ConnectedProcess | undefined {
  try {
    const { uid } = statSync(`/proc/${pid}`);
    const [container] = /[0-9a-f]{64}/.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
    return { pid, command: processName(pid) ?? '', uid, ...(container === undefined ? {} : { container }) };
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

/** TCP ports that the engine listens on; `undefined` when its process can't be found. */
export function enginePorts(socket: string): number[] | undefined {
  const pid = enginePid(socket);
  if (pid === undefined) return undefined;
  const open = new Set(socketInodes(pid));
  const ports = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === tcpListen && open.has(Number(inode)))
      .map(([, local]) => Number.parseInt(local?.split(':')[1] ?? '0', 16)),
  );
  return [...new Set(ports)].sort((left, right) => left - right);
}

/** The containers among these that have the engine's socket, or a folder above it, mounted. */
export function socketHolders(
  socket: string,
  containers: readonly ContainerInspect[],
): { readonly name: string; readonly running: boolean }[] {
  const paths = [socket, realpathSync(socket)];
  return containers
    .filter(({ Mounts }) => Mounts.some(({ Source }) => paths.some((path) => gives(Source, path))))
    .map(({ Name, State }) => ({ name: Name.replace(/^\//, ''), running: State.Running }));
}

/** True when a mounted folder or file gives access to a socket. */
function gives(source: string, socket: string): boolean {
  return source !== '' && (source === socket || socket.startsWith(source === '/' ? '/' : `${source}/`));
}

/** Every container of the engine in full; those that go away meanwhile are left out. */
export async function everyContainer(client: EngineClient): Promise<ContainerInspect[]> {
  const listed = await client.listContainers();
  const inspected = await Promise.all(listed.map(({ Id }) => client.inspectContainer(Id)));
  return inspected.filter((found) => found !== undefined);
}
