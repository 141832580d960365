/**
 * Who reaches the engine past cofferdam: everybody who can use its own socket, containers that have it mounted, TCP
 * ports that it listens on. What comes that way is judged by nobody.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { EngineClient } from '../engine/client.js';
import { enginePid } from '../engine/find.js';
import { type Check, guarded, ok, warning } from './check.js';

/** `st` of /proc/net/tcp for a listening socket (include/net/tcp_states.h, TCP_LISTEN). */
const tcpListen = '0A';

/** Why an account other than root can reach a socket; `undefined` when none can. */
function openTo(socket: string): string | undefined {
  const { mode, gid } = statSync(socket);
  if ((mode & 0o002) === 0 && ((mode & 0o020) === 0 || gid === 0)) return undefined;
  for (let folder = dirname(realpathSync(socket)); ; folder = dirname(folder)) {
    const stats = statSync(folder);
    if ((stats.mode & 0o001) === 0 && ((stats.mode & 0o010) === 0 || stats.gid === 0)) return undefined;
    if (folder === dirname(folder)) break;
  }
  return (mode & 0o002) !== 0 ? 'everybody' : `group ${gid}`;
}

function socketAccess(socket: string): Check {
  const who = openTo(socket);
  return who === undefined
    ? ok("the engine's own socket", `${socket} is for root alone`)
    : warning(
        "the engine's own socket",
        `${who} can use ${socket} past cofferdam, and so is root on this host`,
        'run `cofferdam install`, or give the socket to root alone',
      );
}

/** Ports on which a process listens, as `ADDRESS:PORT`. */
function listeningPorts(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1] ?? [];
      } catch {
        // The descriptor was closed meanwhile.
        return [];
      }
    }),
  );
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(
        ([, , , state, , , , , , inode]) => state === tcpListen && inode !== undefined && inodes.has(inode),
      )
      .map(([, local]) => `port ${Number.parseInt(local?.split(':')[1] ?? '0', 16)}`),
  );
}

function tcpPorts(socket: string): Check {
  const pid = enginePid(socket);
  if (pid === undefined) {
    return warning(
      'TCP ports of the engine',
      'its process was not found, so they are unknown',
      'look at its -H flags',
    );
  }
  const ports = [...new Set(listeningPorts(pid))];
  return ports.length === 0
    ? ok('TCP ports of the engine', 'none')
    : warning(
        'TCP ports of the engine',
        `dockerd listens on ${ports.join(', ')}: what comes there is not judged`,
        'remove its tcp:// addresses, or firewall them',
      );
}

const mountsSchema = z.object({
  Name: z.string(),
  State: z.object({ Running: z.boolean() }),
  Mounts: z.array(z.object({ Source: z.string().default('') })).nullish(),
});

/** True when a mounted folder or file gives access to a socket. */
function gives(source: string, socket: string): boolean {
  return source === socket || socket.startsWith(source === '/' ? '/' : `${source}/`);
}

async function containers(client: EngineClient): Promise<Check> {
  const socket = realpathSync(client.socketPath);
  const holders: string[] = [];
  for (const { Id } of await client.listContainers()) {
    const found = await client.call('GET', `/containers/${Id}/json`);
    if (found.status !== 200) continue;
    const { Name, State, Mounts } = mountsSchema.parse(JSON.parse(found.text));
    const holds = (Mounts ?? []).some(({ Source }) => Source !== '' && gives(Source, socket));
    if (holds) holders.push(`${Name.replace(/^\//, '')}${State.Running ? '' : ' (stopped)'}`);
  }
  return holders.length === 0
    ? ok("containers with the engine's socket", 'none')
    : warning(
        "containers with the engine's socket",
        `${holders.join(', ')}: they reach the engine past cofferdam`,
        'make them anew through cofferdam, with their images on the list of dockerSocketMount',
      );
}

/** Everything about who else reaches the engine. */
export function examineReach(client: EngineClient): Promise<Check[]> {
  const { socketPath } = client;
  return Promise.all([
    guarded("the engine's own socket", 'look at its mode', () => socketAccess(socketPath)),
    guarded('TCP ports of the engine', 'look at the -H flags of dockerd', () => tcpPorts(socketPath)),
    guarded("containers with the engine's socket", 'start the engine', () => containers(client)),
  ]);
}
