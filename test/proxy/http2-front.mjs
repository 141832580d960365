/**
 * Gives an engine of Debian's packages what Docker Engine 29.2 and later do by themselves: gRPC without an upgrade on
 * the engine's socket. A connection that begins with the preface of HTTP/2 is led to the engine's own `POST /grpc`, and
 * every other one to the engine as it is, bytes and all. So what answers is a real BuildKit. A process of its own, by the
 * engine's name and with its environment: cofferdam looks for both.
 */
import { connect, createServer } from 'node:net';

process.title = 'dockerd';
const [, , socket, engineSocket] = process.argv;
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const upgrade = 'POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
const headEnd = '\r\n\r\n';

const server = createServer({ allowHalfOpen: true }, (client) => {
  client.on('error', () => client.destroy());
  client.once('data', async (first) => {
    client.pause();
    const engine = connect({ path: engineSocket, allowHalfOpen: true });
    engine.on('error', () => client.destroy());
    client.on('close', () => engine.destroy());
    if (first.toString('latin1').startsWith(preface)) await switchProtocols(engine);
    engine.write(first);
    client.pipe(engine).pipe(client);
  });
});

/** Leaves what follows the engine's answer to be read. */
async function switchProtocols(engine) {
  engine.write(upgrade);
  let answer = Buffer.alloc(0);
  while (!answer.includes(headEnd)) {
    const chunk = await new Promise((resolve) => engine.once('data', resolve));
    answer = Buffer.concat([answer, chunk]);
  }
  engine.pause();
  const rest = answer.subarray(answer.indexOf(headEnd) + headEnd.length);
  if (rest.length > 0) engine.unshift(rest);
}

server.listen(socket, () => process.send('listening'));
