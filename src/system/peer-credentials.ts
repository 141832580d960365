/**
 * Who is at the other end of a unix socket: the kernel's own word, taken when the peer connected (unix(7),
 * SO_PEERCRED and SO_PEERGROUPS). It must never guess: a socket whose peer can't be told is an error.
 */
import koffi from 'koffi';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
const ERANGE = 34;
/** struct ucred: pid, uid and gid, 32 bits each. */
const ucredBytes = 12;
/** Most supplementary groups of a process (linux/limits.h, NGROUPS_MAX). */
const mostGroups = 65_536;

const libc = koffi.load('libc.so.6');
const getsockopt = libc.func(
  'int getsockopt(int fd, int level, int name, void *value, _Inout_ uint32_t *length)',
);

/** The peer of a connected unix socket. */
export interface PeerCredentials {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/**
 * The credentials that the peer had when it connected.
 * @param fd a connected unix stream socket
 * @throws Error with the errno when the kernel doesn't tell
 */
export function peerCredentials(fd: number): PeerCredentials {
  const ucred = Buffer.alloc(ucredBytes);
  readOption(fd, SO_PEERCRED, ucred);
  return {
    pid: ucred.readInt32LE(0),
    uid: ucred.readUInt32LE(4),
    gid: ucred.readUInt32LE(8),
    groups: peerGroups(fd),
  };
}

function peerGroups(fd: number): number[] {
  for (let capacity = 64; capacity <= mostGroups; capacity *= 32) {
    const groups = Buffer.alloc(capacity * 4);
    const bytes = readOption(fd, SO_PEERGROUPS, groups);
    if (bytes !== undefined)
      return Array.from({ length: bytes / 4 }, (_, index) => groups.readUInt32LE(index * 4));
  }
  throw new Error('the peer has more groups than the kernel allows');
}

/** Reads a socket option: its length in bytes, or undefined when the buffer is too small for it. */
function readOption(fd: number, name: number, value: Buffer): number | undefined {
  const length: [number] = [value.length];
  if (getsockopt(fd, SOL_SOCKET, name, value, length) === 0) return length[0];
  const errno = koffi.errno();
  if (errno === ERANGE) return undefined;
  throw new Error(`getsockopt(${name}) on a client's socket failed: errno ${errno}`);
}
