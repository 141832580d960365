/**
 * The Unix sockets of a network namespace as the kernel knows them (sock_diag(7), UNIX_DIAG): by the file they are
 * bound to, which a rename doesn't change, and with the other end of each connection. /proc/net/unix has neither.
 * It only looks.
 */
import { closeSync } from 'node:fs';
import { endianness } from 'node:os';
import koffi from 'koffi';
import { setns } from './libc.js';
import { closeNamespace, namespaceInode, openNamespace } from './namespaces.js';
import { SystemCallError } from './system-error.js';

const AF_UNIX = 1;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
const NETLINK_SOCK_DIAG = 4;
const CLONE_NEWNET = 0x40000000;
/** linux/netlink.h and linux/sock_diag.h. */
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST_DUMP = 0x301;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const headerBytes = 16;
/** struct unix_diag_req and struct unix_diag_msg (linux/unix_diag.h). */
const requestBytes = 24;
const messageBytes = 16;
const showVfsAndPeer = 0x2 | 0x4;
const allStates = 0xffff_ffff;
const UNIX_DIAG_VFS = 1;
const UNIX_DIAG_PEER = 2;
/** Netlink pads attributes and messages to this many bytes. */
const alignment = 4;
const listening = 10;

const little = endianness() === 'LE';
const library = koffi.load(null);
const socketCall = library.func('int socket(int domain, int type, int protocol)');
const send = library.func('long send(int descriptor, void *message, size_t length, int flags)');
const receive = library.func('long recv(int descriptor, void *buffer, size_t length, int flags)');

/** One socket of the namespace. */
export interface UnixSocket {
  /** Of the socket itself: what `/proc/PID/fd` shows. */
  readonly inode: number;
  readonly listening: boolean;
  /** The file that it, or the socket that accepted it, is bound to; absent for sockets without one. */
  readonly file?: { readonly inode: number; readonly major: number; readonly minor: number };
  /** Inode of the other end of its connection. */
  readonly peer?: number;
}

/** Every Unix socket in the network namespace of a process. Needs root for another namespace than our own. */
export function unixSockets(pid: number | 'self' = 'self'): UnixSocket[] {
  const descriptor = diagnosticSocket(pid);
  try {
    checked(Number(send(descriptor, request(), headerBytes + requestBytes, 0)), 'send');
    const found: UnixSocket[] = [];
    const buffer = Buffer.alloc(256 * 1024);
    for (;;) {
      const length = checked(Number(receive(descriptor, buffer, buffer.length, 0)), 'recv');
      if (!readAnswer(new DataView(buffer.buffer, buffer.byteOffset, length), found)) return found;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** A netlink socket belongs for good to the namespace of the thread that makes it. */
function diagnosticSocket(pid: number | 'self'): number {
  const make = () => checked(socketCall(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), 'socket');
  if (namespaceInode(pid, 'net') === namespaceInode('self', 'net')) return make();
  const there = openNamespace(`/proc/${pid}/ns/net`);
  const here = openNamespace('/proc/thread-self/ns/net');
  try {
    // Nothing else runs on this thread between the two.
    setns(there.descriptor, CLONE_NEWNET, 'a network namespace');
    try {
      return make();
    } finally {
      setns(here.descriptor, CLONE_NEWNET, 'our own network namespace');
    }
  } finally {
    closeNamespace(there);
    closeNamespace(here);
  }
}

function checked(result: number, call: string): number {
  if (result < 0) throw new SystemCallError(call, koffi.errno(), 'sock_diag');
  return result;
}

function request(): Buffer {
  const bytes = Buffer.alloc(headerBytes + requestBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(0, bytes.length, little);
  view.setUint16(4, SOCK_DIAG_BY_FAMILY, little);
  view.setUint16(6, NLM_F_REQUEST_DUMP, little);
  view.setUint8(headerBytes, AF_UNIX);
  view.setUint32(headerBytes + 4, allStates, little);
  view.setUint32(headerBytes + 12, showVfsAndPeer, little);
  return bytes;
}

/** Takes the sockets of one datagram; false at the end of the list. */
function readAnswer(view: DataView, found: UnixSocket[]): boolean {
  for (let at = 0; at + headerBytes <= view.byteLength; ) {
    const length = view.getUint32(at, little);
    const type = view.getUint16(at + 4, little);
    if (type === NLMSG_DONE || length < headerBytes) return false;
    if (type === NLMSG_ERROR)
      throw new SystemCallError('sock_diag', -view.getInt32(at + headerBytes, little), 'unix sockets');
    found.push(
      readSocket(new DataView(view.buffer, view.byteOffset + at + headerBytes, length - headerBytes)),
    );
    at += aligned(length);
  }
  return true;
}

function readSocket(view: DataView): UnixSocket {
  let file: UnixSocket['file'];
  let peer: number | undefined;
  for (let at = messageBytes; at + alignment <= view.byteLength; ) {
    const length = view.getUint16(at, little);
    if (length < alignment) break;
    const type = view.getUint16(at + 2, little);
    const value = at + alignment;
    if (type === UNIX_DIAG_PEER) peer = view.getUint32(value, little);
    if (type === UNIX_DIAG_VFS) {
      // The kernel's own dev_t: 12 bits of major, 20 bits of minor (linux/kdev_t.h).
      const device = view.getUint32(value + 4, little);
      file = { inode: view.getUint32(value, little), major: device >>> 20, minor: device & 0xf_ffff };
    }
    at += aligned(length);
  }
  return {
    inode: view.getUint32(4, little),
    listening: view.getUint8(2) === listening,
    ...(file === undefined ? {} : { file }),
    ...(peer === undefined ? {} : { peer }),
  };
}

function aligned(length: number): number {
  return Math.ceil(length / alignment) * alignment;
}

/** True when a socket is bound to the file of which `device` and `inode` are `st_dev` and `st_ino` (makedev(3)). */
export function isBoundTo(socket: UnixSocket, { device, inode }: { device: bigint; inode: bigint }): boolean {
  if (socket.file === undefined) return false;
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
  const { file } = socket;
  return (
    BigInt(file.inode) === (inode & 0xffff_ffffn) &&
    BigInt(file.major) === major &&
    BigInt(file.minor) === minor
  );
}
