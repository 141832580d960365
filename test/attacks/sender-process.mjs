// Sends raw bytes to a Unix socket, as the user that this process runs as: one JSON line in, one out.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const quietMilliseconds = 8000;

/** True when the bytes are a whole answer. */
function isWhole(bytes, method) {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const head = text.slice(0, end);
  const status = Number(head.split(' ')[1]);
  if (status === 100) return isWhole(bytes.subarray(end + 4), method);
  if (method === 'HEAD' || status === 101 || status === 204 || status === 304) return true;
  const length = /^content-length:\s*(\d+)/im.exec(head)?.[1];
  if (length !== undefined) return bytes.length >= end + 4 + Number(length);
  return /^transfer-encoding:\s*chunked/im.test(head) && text.endsWith('0\r\n\r\n');
}

function send({ socket, bytes, method }) {
  return new Promise((resolve) => {
    const parts = [];
    let error;
    const connection = connect(socket);
    const finish = () => {
      clearTimeout(timer);
      connection.destroy();
      resolve({ answer: Buffer.concat(parts).toString('base64'), error });
    };
    const timer = setTimeout(finish, quietMilliseconds);
    connection.on('data', (part) => {
      parts.push(part);
      if (isWhole(Buffer.concat(parts), method)) finish();
    });
    connection.on('error', ({ code }) => {
      error = code;
    });
    connection.on('close', finish);
    connection.write(Buffer.from(bytes, 'base64'));
  });
}

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await send(JSON.parse(line)))}\n`);
}
