/** Server names of real ClientHellos, whole, torn, in several records, and disguised. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { connect } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { readServerName } from '../../../src/registry/egress/client-hello.js';

/** What a TLS client of this machine sends first. */
async function helloOf(servername: string | undefined): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', ...(servername === undefined ? {} : { servername }) });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** The same handshake message in records of a few bytes. */
function split(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

/** A minimal ClientHello with the given extensions. */
function helloWith(...extensions: readonly (readonly [number, Buffer])[]): Buffer {
  const vector = (size: number, content: Buffer): Buffer => {
    const length = Buffer.alloc(size);
    length.writeUIntBE(content.length, 0, size);
    return Buffer.concat([length, content]);
  };
  const listed = extensions.map(([type, content]) =>
    Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, content)]),
  );
  const body = Buffer.concat([
    Buffer.alloc(34),
    vector(1, Buffer.alloc(0)),
    vector(2, Buffer.from([0x13, 1])),
    vector(1, Buffer.from([0])),
    vector(2, Buffer.concat(listed)),
  ]);
  const message = Buffer.concat([Buffer.from([1]), vector(3, body)]);
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(2, message)]);
}

function serverNames(...names: readonly string[]): Buffer {
  const entries = names.map((name) => Buffer.concat([Buffer.from([0, 0, name.length]), Buffer.from(name)]));
  const list = Buffer.concat(entries);
  return Buffer.concat([Buffer.from([list.length >> 8, list.length & 255]), list]);
}

describe('the server name of a ClientHello', () => {
  test('is read, and absent where there is none', async () => {
    expect(readServerName(await helloOf('registry.example'))).toEqual({
      kind: 'hello',
      name: 'registry.example',
    });
    expect(readServerName(await helloOf(undefined))).toEqual({ kind: 'hello', name: undefined });
    expect(readServerName(helloWith())).toEqual({ kind: 'hello', name: undefined });
  });

  test('is not guessed before the message is whole, wherever it is torn', async () => {
    const hello = await helloOf('registry.example');
    for (let length = 0; length < hello.length; length += 1) {
      expect(readServerName(hello.subarray(0, length))).toEqual({ kind: 'incomplete' });
    }
    for (const size of [1, 2, 3, 7, 100]) {
      const records = split(hello, size);
      expect(readServerName(records)).toEqual({ kind: 'hello', name: 'registry.example' });
      expect(readServerName(records.subarray(0, -1))).toEqual({ kind: 'incomplete' });
    }
  });

  test.each([
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'no TLS'],
    ['another record', Buffer.from([23, 3, 3, 0, 1, 0]), 'no TLS'],
    ['another message', Buffer.from([22, 3, 3, 0, 4, 2, 0, 0, 0]), 'no ClientHello'],
    ['an empty record', Buffer.from([22, 3, 3, 0, 0]), 'no TLS'],
    ['a huge message', Buffer.from([22, 3, 3, 0, 4, 1, 255, 255, 255]), 'too long'],
    ['a message that ends early', Buffer.from([22, 3, 3, 0, 5, 1, 0, 0, 1, 3]), 'ends early'],
    ['two names', helloWith([0, serverNames('a.example', 'b.example')]), 'two server names'],
    ['the extension twice', helloWith([0, serverNames('a.example')], [0, serverNames('b.example')]), 'two'],
    [
      'a name that nobody can read',
      helloWith([0xfe0d, Buffer.alloc(8)], [0, serverNames('a.example')]),
      'encrypted',
    ],
    ['a name of another kind', helloWith([0, Buffer.from([0, 4, 1, 0, 1, 65])]), 'unknown kind'],
  ])('%s is refused', (_name, bytes, reason) => {
    const read = readServerName(bytes);
    expect(read).toEqual({ kind: 'wrong', reason: expect.stringContaining(reason) });
  });

  test('any bytes whatever end in an answer', async () => {
    const hello = await helloOf('registry.example');
    for (let at = 0; at < hello.length; at += 1) {
      for (const value of [0, 1, 127, 255]) {
        const changed = Buffer.from(hello);
        changed[at] = value;
        expect(['incomplete', 'hello', 'wrong']).toContain(readServerName(changed).kind);
      }
    }
  });
});
