import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { residentMebibytes } from '../support/process-facts.js';
import { measured } from './measured.js';

const gibibytes = Number(process.env['COFFERDAM_SOAK_GIBIBYTES'] ?? 10);
let engine: Engine;
let cofferdam: Cofferdam;
beforeAll(async () => {
  engine = await startIsolatingEngine({ version: '28.5' });
  cofferdam = await startCofferdam({ engine });
  await importBusybox(cofferdam.cli);
});
afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
});

/** The highest resident memory while something is done, in MiB. */
async function peakWhile(work: Promise<unknown>): Promise<number> {
  let peak = 0;
  let done = false;
  const finished = work.finally(() => {
    done = true;
  });
  while (!done) {
    peak = Math.max(peak, residentMebibytes(cofferdam.pid ?? 0));
    await Promise.race([finished, sleep(50)]);
  }
  await finished;
  return peak;
}

test(`${gibibytes} GiB through \`docker run -i\` arrive whole, with flat memory`, async () => {
  const before = residentMebibytes(cofferdam.pid ?? 0);
  const child = cofferdam.cli.start([
    'run',
    '--rm',
    '-i',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'wc -c',
  ]);
  const begin = performance.now();
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const closed = once(child, 'close');
  const peak = await peakWhile(
    (async () => {
      const block = Buffer.alloc(1024 * 1024);
      for (let sent = 0; sent < gibibytes * 1024; sent += 1) {
        if (!child.stdin.write(block)) await once(child.stdin, 'drain');
      }
      child.stdin.end();
      await closed;
    })(),
  );
  const seconds = (performance.now() - begin) / 1000;
  measured('docker run -i', {
    gibibytes,
    'MB/s': (gibibytes * 1073.741824) / seconds,
    'MiB more': peak - before,
  });
  expect(output.trim()).toBe(String(gibibytes * 1024 ** 3));
  expect(peak - before).toBeLessThan(50);
});

test('a container is exported to a slow reader, with flat memory', async () => {
  const id = await cofferdam.cli.must('create', '--network', 'none', 'busybox', 'true');
  const before = residentMebibytes(cofferdam.pid ?? 0);
  const socket = createConnection({ path: cofferdam.socket });
  await once(socket, 'connect');
  socket.write(`GET /v1.44/containers/${id}/export HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n`);
  const ended = once(socket, 'end');
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    socket.pause();
    setTimeout(() => socket.resume(), 20);
  });
  const more = (await peakWhile(ended)) - before;
  measured('export to a slow reader', { bytes: received, 'MiB more': more });
  expect(more).toBeLessThan(50);
  expect(received).toBeGreaterThan(1_000_000);
  await cofferdam.cli.must('rm', id);
});
