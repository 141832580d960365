import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { mountsBelow } from '../support/left-overs.js';
import { openFiles, residentMebibytes } from '../support/process-facts.js';
import { measured } from './measured.js';

const rounds = Number(process.env['COFFERDAM_SOAK_ROUNDS'] ?? 200);
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

/** Five containers at once, each with everything that holds something: a volume, an exec, a log, a copy. */
async function round(): Promise<void> {
  await Promise.all(
    Array.from({ length: 5 }, async () => {
      const id = await cofferdam.cli.must(
        'run',
        '-d',
        '--network',
        'none',
        '-v',
        '/data',
        'busybox',
        'sleep',
        '1000',
      );
      await cofferdam.cli.must('exec', id, 'true');
      await cofferdam.cli.must('logs', id);
      await cofferdam.cli.must('cp', `${id}:/etc/passwd`, '-');
      await cofferdam.cli.must('rm', '--force', '--volumes', id);
    }),
  );
}

test(`${rounds * 5} containers leave memory, files and mounts as they were`, async () => {
  const pid = cofferdam.pid ?? 0;
  for (let warm = 0; warm < 20; warm += 1) await round();
  const before = {
    memory: residentMebibytes(pid),
    files: openFiles(pid),
    mounts: mountsBelow(engine.folder).length,
  };
  const begin = performance.now();
  for (let count = 0; count < rounds; count += 1) await round();
  measured('containers', {
    containers: rounds * 5,
    'containers/s': (rounds * 5000) / (performance.now() - begin),
    'MiB before': before.memory,
    'MiB after': residentMebibytes(pid),
    'files before': before.files,
    'files after': openFiles(pid),
  });
  await expect.poll(() => openFiles(pid), { timeout: 30_000 }).toBeLessThanOrEqual(before.files + 5);
  expect(residentMebibytes(pid)).toBeLessThan(before.memory + 30);
  expect(mountsBelow(engine.folder).length).toBeLessThanOrEqual(before.mounts);
  expect(JSON.parse((await cofferdam.verb('ranges', '--json')).stdout)).toHaveProperty('containers', []);
});
