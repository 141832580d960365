/**
 * Tells systemd how the daemon is: ready, stopping, alive (sd_notify(3)). A datagram to the socket that systemd
 * names in NOTIFY_SOCKET; Node.js has no datagram Unix sockets, so the C library sends it. Without systemd
 * everything here does nothing.
 */
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x80000;
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
  readonly close: (descriptor: number) => number;
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
      close: library.func('int close(int descriptor)'),
    };
  }
  return loaded;
}

/** struct sockaddr_un; a path that begins with `@` is in the abstract namespace, where it begins with NUL. */
function socketAddress(path: string): Buffer {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
  if (name.length > longestPath) throw new Error(`NOTIFY_SOCKET is longer than ${longestPath} bytes`);
  const family = Buffer.alloc(2);
  if (new Uint8Array(new Uint16Array([AF_UNIX]).buffer)[0] === AF_UNIX) family.writeUInt16LE(AF_UNIX);
  else family.writeUInt16BE(AF_UNIX);
  return Buffer.concat([family, name]);
}

function send(path: string, text: string): void {
  const { socket, sendto, close } = calls();
  const descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return;
  const address = socketAddress(path);
  const message = Buffer.from(text);
  // A supervisor that went away must not end the daemon: a failed send is left at that.
  sendto(descriptor, message, message.length, MSG_NOSIGNAL, address, address.length);
  close(descriptor);
}

/** The daemon's side of its supervision. */
export interface Supervision {
  /** The daemon serves; `status` is shown by `systemctl status`. Begins the watchdog, where one is set. */
  ready(status: string): void;
  stopping(): void;
  close(): void;
}

/** Supervision as the environment asks for it (NOTIFY_SOCKET, WATCHDOG_USEC). */
export function supervise(environment: NodeJS.ProcessEnv): Supervision {
  const path = environment['NOTIFY_SOCKET'];
  const watchdogMicroseconds = Number(environment['WATCHDOG_USEC'] ?? 0);
  let timer: NodeJS.Timeout | undefined;
  const tell = (text: string) => {
    if (path) send(path, text);
  };
  return {
    ready: (status) => {
      tell(`READY=1\nSTATUS=${status}`);
      // Twice in the time, as sd_watchdog_enabled(3) recommends; an event loop that hangs sends nothing.
      if (path && watchdogMicroseconds > 0) {
        timer = setInterval(() => tell('WATCHDOG=1'), watchdogMicroseconds / 2000).unref();
      }
    },
    stopping: () => tell('STOPPING=1'),
    close: () => clearInterval(timer),
  };
}
