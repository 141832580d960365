/**
 * A thousand containers with a thousand ranges on one engine, a part of them running: allocating, comparing with the
 * engine, and preparing a start take what they took with none. And an image of 200,000 files: nothing is chowned, so
 * that the files' number makes no difference.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { mustRun } from '../../src/engine/embedded/command.js';
import { requestOverSocket } from '../../src/system/unix-http.js';
import { IsolatingEngine } from '../runtime/support/isolating-engine.js';
import { writeBusyboxRoot } from '../support/busybox-image.js';

const containers = Number(process.env['COFFERDAM_SCALE_CONTAINERS'] ?? 1000);
const running = Math.min(containers, Number(process.env['COFFERDAM_SCALE_RUNNING'] ?? 200));
const files = Number(process.env['COFFERDAM_SCALE_FILES'] ?? 200_000);

let isolating: IsolatingEngine;
beforeAll(async () => {
  isolating = await IsolatingEngine.start({ version: '26.1' });
});
afterAll(() => isolating?.stop(), 900_000);

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Milliseconds of the ledger's own work for a container, as the proxy has it make one. */
async function createOne(): Promise<{ id: string; milliseconds: number }> {
  const begin = performance.now();
  const request = { image: 'busybox', digest: 'scale', mounts: [], socketGrant: false };
  const intent = isolating.ledger.intend(request);
  const allocated = performance.now() - begin;
  const answer = await requestOverSocket(isolating.engine.socket, {
    ...{ method: 'POST', path: '/containers/create', contentType: 'application/json' },
    body: JSON.stringify({
      ...{ Image: 'busybox', Cmd: ['sleep', '100000'] },
      HostConfig: { NetworkMode: 'none' },
    }),
  });
  const { Id } = z.object({ Id: z.string() }).parse(JSON.parse(answer.body.toString()));
  const settling = performance.now();
  isolating.ledger.settle(intent, Id);
  return { id: Id, milliseconds: allocated + performance.now() - settling };
}

/** Milliseconds that the daemon took to prepare a start, and those of the whole start. */
async function start(id: string): Promise<{ prepared: number; whole: number }> {
  const begin = performance.now();
  await requestOverSocket(isolating.engine.socket, { method: 'POST', path: `/containers/${id}/start` });
  const whole = performance.now() - begin;
  const details = isolating.log.findLast(({ message }) => message === 'prepared a container')?.details;
  return { prepared: z.object({ milliseconds: z.number() }).parse(details).milliseconds, whole };
}

test(`${containers} containers, ${running} of them running`, async () => {
  const created: { id: string; milliseconds: number }[] = [];
  for (let count = 0; count < containers; count += 10) {
    created.push(...(await Promise.all(Array.from({ length: 10 }, createOne))));
  }
  const bases = isolating.ledger.list().map(({ range }) => range.base);
  expect(new Set(bases).size).toBe(containers);
  const started: { prepared: number; whole: number }[] = [];
  for (const { id } of created.slice(0, running)) started.push(await start(id));

  const share = Math.floor(running / 5);
  const ledger = [created.slice(0, 100), created.slice(-100)].map((some) =>
    median(some.map(({ milliseconds }) => milliseconds)),
  );
  const [first, last] = [started.slice(0, share), started.slice(-share)].map((some) => ({
    prepared: median(some.map(({ prepared }) => prepared)),
    whole: median(some.map(({ whole }) => whole)),
  }));
  const begin = performance.now();
  isolating.ledger.reclaim(
    created.map(({ id }) => ({
      ...{ id, name: '', image: 'busybox', created: Date.now(), isolated: true, digest: 'scale' },
    })),
    Date.now(),
  );
  const reclaim = performance.now() - begin;
  process.stdout.write(`${JSON.stringify({ ledger, first, last, reclaim })}\n`);
  expect(isolating.ledger.list()).toHaveLength(containers);
  expect(ledger[1]).toBeLessThan(2 * (ledger[0] ?? 0) + 1);
  expect(last?.prepared).toBeLessThan(2 * (first?.prepared ?? 0) + 5);
  expect(reclaim).toBeLessThan(2000);
});

test(`an image of ${files} files`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-files-'));
  try {
    const root = join(folder, 'root');
    mkdirSync(root);
    await writeBusyboxRoot(root);
    for (let index = 0; index < files; index += 1) {
      if (index % 1000 === 0) mkdirSync(join(root, 'data', String(index)));
      writeFileSync(join(root, 'data', String(index - (index % 1000)), String(index)), '');
    }
    const archive = join(folder, 'root.tar');
    await mustRun('tar', ['-C', root, '-cf', archive, '.']);
    await isolating.docker('import', '--change', 'ENV PATH=/bin', archive, 'files');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const request = { image: 'files', digest: 'scale', mounts: [], socketGrant: false };
  const intent = isolating.ledger.intend(request);
  const id = await isolating.docker('create', '--network', 'none', 'files', 'sleep', '100000');
  isolating.ledger.settle(intent, id);
  const { prepared } = await start(id);
  process.stdout.write(`${JSON.stringify({ files, prepared })}\n`);
  expect(prepared).toBeLessThan(500);
  expect(await isolating.docker('exec', id, 'stat', '-c', '%u', '/data/0/0')).toBe('0');
  const upper = await isolating.docker('inspect', '--format', '{{.GraphDriver.Data.UpperDir}}', id);
  // Nothing of the image was copied up, let alone given another owner.
  expect(() => statSync(join(upper, 'data'))).toThrow(/ENOENT/);
});
