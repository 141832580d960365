/** Bodies that are far larger than the proxy's memory: a 10 GB `docker load` with flat memory, here with 2 GiB. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { residentMebibytes } from '../support/process-facts.js';

const size = 2 * 1024 ** 3;
/** How much the resident memory may grow, in MiB. */
const growth = 50;

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

/** By how many MiB the proxy's resident memory grew at most while something was done. */
async function growthWhile(work: () => Promise<unknown>): Promise<number> {
  const resident = () => residentMebibytes(cofferdam.pid ?? 0);
  const before = resident();
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, resident());
  }, 50);
  try {
    await work();
  } finally {
    clearInterval(sampler);
  }
  return Math.max(peak, resident()) - before;
}

/** Runs a shell line with the docker command line on the proxy. */
async function shell(line: string): Promise<void> {
  const child = spawn('sh', ['-c', line], {
    env: cofferdam.cli.environment,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
}

it('an image of 2 GiB is imported, saved and loaded', async () => {
  const folder = engine.folder;
  const block = join(folder, 'block');
  const image = join(folder, 'image.tar');
  await shell(`truncate -s ${size} ${block}`);
  expect(await growthWhile(() => shell(`tar -C ${folder} -c block | docker import - huge`))).toBeLessThan(
    growth,
  );
  rmSync(block);
  expect(await growthWhile(() => shell(`docker save huge > ${image}`))).toBeLessThan(growth);
  await shell('docker rmi huge');
  expect(await growthWhile(() => shell(`docker load < ${image}`))).toBeLessThan(growth);
  rmSync(image);
}, 300_000);

it('a client that reads slowly gets everything, and nothing piles up', async () => {
  const id = await cofferdam.cli.must('create', '--network', 'none', 'huge', 'true');
  let received = 0;
  const grown = await growthWhile(async () => {
    const socket = connect(cofferdam.socket);
    socket.write(`GET /v1.44/containers/${id}/export HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n`);
    await once(socket, 'readable');
    // Long enough that an engine which isn't stopped would have sent a good part of it.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    await once(socket, 'close');
  });
  expect(received).toBeGreaterThan(size);
  expect(grown).toBeLessThan(growth);
  await cofferdam.cli.must('rm', id);
});
