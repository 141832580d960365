/**
 * What passing bytes on costs in Node.js and no more: for each client's connection one to the engine, and every byte
 * goes across, read and written as the proxy does it. Nothing is parsed, judged or recorded. What cofferdam costs above
 * it is its own; what this costs above haproxy can't be saved in Node.
 *   tsx bench/bare-pump.ts SOCKET ENGINE
 */
import { connect, createServer } from 'node:net';
import { tunnel } from '../src/proxy/hijack.js';
import { readAccepted, SocketReader } from '../src/proxy/socket-reader.js';

const [socket = '', engine = ''] = process.argv.slice(2);
const highWaterMark = 256 * 1024;
const reader = () => new SocketReader({ take: () => undefined, holdsNothing: true });

const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
  const [client, upstream] = [reader(), reader()];
  // The last option is missing in the types of net.connect, which hands it on to the stream.
  const options = { path: engine, allowHalfOpen: true, onread: upstream.onread, highWaterMark };
  const rest = { early: undefined, ended: false };
  void tunnel(
    { socket: readAccepted(accepted, client, highWaterMark), reader: client, ...rest },
    { socket: connect(options), reader: upstream, ...rest },
  );
});
server.listen({ path: socket, backlog: 4096 });
process.on('SIGTERM', () => process.exit(0));
