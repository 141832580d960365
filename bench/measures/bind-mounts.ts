/** What a bind mount costs: starting a container with one, and working in it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DockerCli } from '../../test/support/docker-cli.js';
import { ratio } from '../goals.js';
import type { Measure, Sampler } from '../measure.js';
import { type Stage, us } from '../stage.js';

const offline = ['--network', 'none'] as const;

/** A folder of the host for one measure; the stage's end finds it gone with the process. */
function hostFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-bench-bind-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function throughUs(stage: Stage): Promise<DockerCli> {
  const { targets } = await stage.real();
  const ours = targets.find(({ name }) => name === us);
  if (!ours) throw new Error('cofferdam is not among the targets');
  return stage.cli(ours);
}

async function timed(work: () => Promise<unknown>): Promise<{ value: number }> {
  const begin = performance.now();
  await work();
  return { value: performance.now() - begin };
}

/** `docker run` through cofferdam, without and with a bind; the same on plain runc for comparison. */
export const bindRun: Measure = {
  name: 'bind-run',
  title: '`docker run` with one bind mount',
  unit: 'ms',
  better: 'lower',
  rounds: 25,
  goals: [
    {
      what: 'with a bind against without',
      figure: ratio('isolated, with a bind', 'isolated, without a bind'),
      unit: '×',
      side: 'at most',
      must: 1.05,
    },
  ],
  async prepare(stage) {
    const plain = (await stage.plain()).cli;
    const ours = await throughUs(stage);
    const bind = ['-v', `${hostFolder()}:/work`];
    const sampler = (name: string, cli: DockerCli, more: readonly string[]): Sampler => ({
      name,
      sample: () => timed(() => cli.must('run', '--rm', ...offline, ...more, 'busybox', 'true')),
    });
    return [
      sampler('isolated, without a bind', ours, []),
      sampler('isolated, with a bind', ours, bind),
      sampler('plain runc, without a bind', plain, []),
      sampler('plain runc, with a bind', plain, bind),
    ];
  },
};

/** Many small files made, read and removed in a bind: idmapped beside the folder as it is. */
export const bindWork: Measure = {
  name: 'bind-work',
  title: 'making, reading and removing 3,000 files in a bind mount',
  unit: 'ms',
  better: 'lower',
  rounds: 7,
  goals: [
    {
      what: 'isolated against plain runc',
      figure: ratio('isolated, through cofferdam', 'plain runc'),
      unit: '×',
      side: 'at most',
      // 0.97 × the speed.
      must: 1 / 0.97,
    },
  ],
  async prepare(stage) {
    const script =
      'cd /work; for d in $(seq 30); do mkdir $d; for f in $(seq 100); do echo $f > $d/$f; done; done; tar -cf /dev/null .; rm -r *';
    const samplers: Sampler[] = [];
    for (const [name, cli] of [
      ['plain runc', (await stage.plain()).cli],
      ['isolated, through cofferdam', await throughUs(stage)],
    ] as const) {
      const container = await cli.must(
        ...['run', '-d', ...offline, '-v', `${hostFolder()}:/work`, 'busybox', 'sleep', '100000'],
      );
      samplers.push({ name, sample: () => timed(() => cli.must('exec', container, 'sh', '-c', script)) });
    }
    return samplers;
  },
};
