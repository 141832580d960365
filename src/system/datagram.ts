/**
 * Datagrams to Unix sockets, which Node.js has not: systemd takes its notifications (sd_notify(3)) and journal entries
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL) this way. Nothing here ever waits.
 */
import { closeSync } from 'node:fs';
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x80000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** sizeof(struct sockaddr_un) less the family: the longest socket path. */
const longestPath = 108;

interface SocketCalls {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly sendto: (
    descriptor: number,
    message: Buffer,
    length: number,
    flags: number,
    address: Buffer,
    addressLength: number,
  ) => number;
}

let loaded: SocketCalls | undefined;

function calls(): SocketCalls {
  if (loaded === undefined) {
    const library = koffi.load(null);
    loaded = {
      socket: library.func('int socket(int domain, int type, int protocol)'),
      sendto: library.func(
        'long sendto(int descriptor, void *message, size_t length, int flags, void *address, uint32_t addressLength)',
      ),
    };
  }
  return loaded;
}

/** struct sockaddr_un; a path that begins with `@` is in the abstract namespace, where it begins with NUL. */
function socketAddress(path: string): Buffer {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
  if (name.length > longestPath)
    throw new Error(`the socket path ${path} is longer than ${longestPath} bytes`);
  const family = Buffer.alloc(2);
  if (new Uint8Array(new Uint16Array([AF_UNIX]).buffer)[0] === AF_UNIX) family.writeUInt16LE(AF_UNIX);
  else family.writeUInt16BE(AF_UNIX);
  return Buffer.concat([family, name]);
}

/** Sends datagrams to one socket path. */
export class DatagramSender {
  readonly #address: Buffer;
  #descriptor: number | undefined;

  /** @throws Error for a path that no socket can have */
  constructor(path: string) {
    this.#address = socketAddress(path);
  }

  /** False when nobody took it: no such socket, a full one, or a message that is too long. */
  send(text: string): boolean {
    const { socket, sendto } = calls();
    if (this.#descriptor === undefined) {
      const descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      if (descriptor < 0) return false;
      this.#descriptor = descriptor;
    }
    const message = Buffer.from(text);
    const flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    return sendto(this.#descriptor, message, message.length, flags, this.#address, this.#address.length) >= 0;
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}
