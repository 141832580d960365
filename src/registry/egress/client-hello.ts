/**
 * The server name in the first bytes of a TLS connection (RFC 8446, 4.1.2; RFC 6066, 3). It must never guess: what
 * isn't a whole and plain ClientHello is incomplete or wrong. Pure.
 */

/** What the bytes of a client say so far. */
export type ServerName =
  | { readonly kind: 'incomplete' }
  /** `name` is absent where the client names none, as for an address literal. */
  | { readonly kind: 'hello'; readonly name: string | undefined }
  | { readonly kind: 'wrong'; readonly reason: string };

const handshakeRecord = 22;
const clientHello = 1;
const recordHeader = 5;
const recordMax = 16_384;
/** Longer ones exist nowhere: the largest keys of today take a few kilobytes. */
const helloMax = 65_536;

const serverNameExtension = 0;
/** RFC 9849: the outer name isn't the one that the server would serve. */
const encryptedHelloExtension = 0xfe0d;

const incomplete: ServerName = { kind: 'incomplete' };

function wrong(reason: string): ServerName {
  return { kind: 'wrong', reason };
}

/** Reads the server name from all bytes that a client has sent. */
export function readServerName(bytes: Buffer): ServerName {
  const message = handshakeMessage(bytes);
  if (!Buffer.isBuffer(message)) return message;
  try {
    return nameIn(new Fields(message));
  } catch (error) {
    if (error instanceof RangeError) return wrong('the ClientHello ends early');
    throw error;
  }
}

/** The first handshake message, put together from its records; without its header. */
function handshakeMessage(bytes: Buffer): Buffer | ServerName {
  let message = Buffer.alloc(0);
  for (let at = 0; ; ) {
    if (bytes.length > at && bytes[at] !== handshakeRecord) return wrong('this is no TLS');
    if (bytes.length < at + recordHeader) return incomplete;
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at + 1] !== 3 || length === 0 || length > recordMax) return wrong('this is no TLS');
    message = Buffer.concat([message, bytes.subarray(at + recordHeader, at + recordHeader + length)]);
    if (message.length > 0 && message[0] !== clientHello) return wrong('this is no ClientHello');
    if (message.length >= 4) {
      const announced = message.readUIntBE(1, 3);
      if (announced > helloMax) return wrong('the ClientHello is too long');
      if (message.length >= 4 + announced) return message.subarray(4, 4 + announced);
    }
    at += recordHeader + length;
    if (bytes.length < at) return incomplete;
  }
}

function nameIn(hello: Fields): ServerName {
  // legacy_version, random, session id, cipher suites, compression methods
  hello.skip(34);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.ended) return { kind: 'hello', name: undefined };
  const extensions = hello.vector(2);
  if (!hello.ended) return wrong('something follows the extensions of the ClientHello');
  const names: string[] = [];
  while (!extensions.ended) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type === encryptedHelloExtension) return wrong('the server name is encrypted');
    if (type !== serverNameExtension) continue;
    const list = content.vector(2);
    while (!list.ended) {
      if (list.number(1) !== 0) return wrong('the server name is of an unknown kind');
      names.push(list.vector(2).text());
    }
  }
  return names.length > 1 ? wrong('there are two server names') : { kind: 'hello', name: names[0] };
}

/** Reads fields one behind the other. @throws RangeError behind the end */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(size: number): number {
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  skip(size: number): void {
    if (this.#at + size > this.#bytes.length) throw new RangeError('behind the end');
    this.#at += size;
  }

  /** A field that begins with its own length, in `size` bytes. */
  vector(size: number): Fields {
    const length = this.number(size);
    const start = this.#at;
    this.skip(length);
    return new Fields(this.#bytes.subarray(start, start + length));
  }

  text(): string {
    return this.#bytes.toString('latin1');
  }
}
