/**
 * Listens on the unix sockets that stand in for the engine's. A socket is open to root and the group docker, as the
 * engine's own is; it must never be open to anybody else, not even for a moment, and never replace one that answers.
 */
import { chownSync, lstatSync, mkdirSync, readFileSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';

/** Read and write for the owner and the group: the complement of 0660. */
const socketUmask = 0o117;

/** A listening address can't be used. */
export class ListenError extends Error {
  readonly code = 'COFFERDAM_LISTEN';
}

/**
 * Opens one listening socket.
 * @param accept gets each connection paused
 * @param address `unix:///path` or an absolute path
 * @param activated descriptors of listening sockets that were handed over, by their path: owner and mode are set
 * @throws ListenError when the address isn't one, or when somebody else answers there
 */
export async function listen(
  address: string,
  accept: (socket: Socket) => void,
  activated: ReadonlyMap<string, number> = new Map(),
): Promise<Server> {
  const path = socketPath(address);
  const descriptor = activated.get(path);
  if (descriptor === undefined) {
    mkdirSync(dirname(path), { recursive: true });
    await removeStaleSocket(path);
  }
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, accept);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error) => reject(new ListenError(`can't listen on ${path}: ${error.message}`)));
  });
  // Node binds unix sockets before listen() returns; so the file has its mode from the beginning.
  const earlier = process.umask(socketUmask);
  try {
    server.listen({ ...(descriptor === undefined ? { path } : { fd: descriptor }), backlog: 4096 });
  } finally {
    process.umask(earlier);
  }
  await listening;
  const group = descriptor === undefined ? groupId('docker') : undefined;
  if (group !== undefined && process.getuid?.() === 0) chownSync(path, 0, group);
  return server;
}

/** The path of a listening address. @throws ListenError */
export function socketPath(address: string): string {
  const path = address.startsWith('unix://') ? address.slice('unix://'.length) : address;
  if (!path.startsWith('/'))
    throw new ListenError(`${address} is not a unix socket: write unix:///path/to/socket`);
  return path;
}

/** Removes what an ended process has left. Another kind of file, or a socket that answers, is left alone. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new ListenError(`${path} exists and is not a socket`);
  if (await answers(path)) throw new ListenError(`another process listens on ${path} already`);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      // Only a refusal shows that nobody listens; a full backlog or a missing right doesn't.
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}

/** The number of a group of this host, when there is one by that name. */
function groupId(name: string): number | undefined {
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${name}:`));
  const id = Number(line?.split(':')[2]);
  return Number.isInteger(id) ? id : undefined;
}
