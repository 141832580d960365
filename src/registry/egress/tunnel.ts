/**
 * A tunnel of the egress proxy: holds back what the client sends until its server name is known to be the name that
 * was asked for, then carries bytes both ways, ends included. It must never send a byte of another conversation.
 */
import type { Socket } from 'node:net';
import { type Authority, literalAddress } from './authority.js';
import { readServerName } from './client-hello.js';

/** A client that asked for a tunnel and says nothing in it is let go after this, in milliseconds. */
const helloPatience = 15_000;

/**
 * Carries a connection. Resolves when it is open or has ended.
 * @returns why the client was turned away, or undefined
 */
export async function carryTls(
  client: Socket,
  server: Socket,
  authority: Authority,
  head: Buffer,
): Promise<string | undefined> {
  const hello = await readHello(client, head);
  if (hello === undefined) {
    destroy(client, server);
    return undefined;
  }
  const reason = disagreement(hello, authority);
  if (reason !== undefined) {
    destroy(client, server);
    return reason;
  }
  server.write(hello);
  join(client, server);
  return undefined;
}

/** Carries bytes both ways, whatever they are. */
export function carryBytes(client: Socket, server: Socket, head: Buffer): void {
  if (head.length > 0) server.write(head);
  join(client, server);
}

function disagreement(hello: Buffer, authority: Authority): string | undefined {
  const read = readServerName(hello);
  if (read.kind === 'wrong') return read.reason;
  if (read.kind === 'incomplete') return 'the ClientHello ends early';
  const name = read.name?.toLowerCase().replace(/\.$/, '');
  if (literalAddress(authority) !== undefined) {
    return name === undefined ? undefined : `TLS asks for ${name} at an address`;
  }
  if (name === authority.host) return undefined;
  return `TLS asks for ${name ?? 'no name'} where the connection was asked for ${authority.host}`;
}

/** Bytes up to the end of the ClientHello at least; undefined when the client goes away or stays silent. */
function readHello(client: Socket, head: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    let bytes = head;
    const finish = (result: Buffer | undefined): void => {
      clearTimeout(timer);
      client.removeListener('data', onData);
      client.removeListener('close', onClose);
      client.pause();
      resolve(result);
    };
    const onClose = (): void => finish(undefined);
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (readServerName(bytes).kind !== 'incomplete') finish(bytes);
    };
    const timer = setTimeout(onClose, helloPatience);
    if (readServerName(bytes).kind !== 'incomplete') return finish(bytes);
    client.on('data', onData);
    client.on('close', onClose);
    client.on('end', onClose);
  });
}

function join(client: Socket, server: Socket): void {
  client.on('close', () => server.destroy());
  server.on('close', () => client.destroy());
  client.pipe(server);
  server.pipe(client);
}

function destroy(...sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy();
}
