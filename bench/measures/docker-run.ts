/** What a person feels: docker commands, from the start of the CLI to its end. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { DockerCli } from '../../test/support/docker-cli.js';
import { type Goal, ratio } from '../goals.js';
import type { Measure, Sampler } from '../measure.js';
import { direct, type Stage, type Target, us } from '../stage.js';

const offline = ['--network', 'none'] as const;
const plainRunc = 'plain runc';
const isolated = 'isolated, through cofferdam';
const isolatedDirect = 'isolated, on the bare engine';
const ourRuntime = 'our runtime, direct';
const ourRuntimeBehindUs = `our runtime, through ${us}`;

/** How much longer than on plain runc an isolated container may take, as a ratio. */
function atMost(must: number, aim?: number): Goal {
  return {
    what: 'isolated against plain runc',
    figure: ratio(isolated, plainRunc),
    unit: '×',
    side: 'at most',
    must,
    ...(aim === undefined ? {} : { aim }),
  };
}

/** Milliseconds that `docker …` takes. */
async function timed(cli: DockerCli, ...argv: string[]): Promise<number> {
  const begin = performance.now();
  await cli.must(...argv);
  return performance.now() - begin;
}

async function proxies(stage: Stage): Promise<{ target: Target; cli: DockerCli }[]> {
  const { targets } = await stage.real();
  const chosen = targets.filter(({ name }) => name !== 'haproxy (Tecnativa)');
  return Promise.all(chosen.map(async (target) => ({ target, cli: await stage.cli(target) })));
}

/** `docker run`: plain runc, our runtime on the bare engine, and through the proxies. */
export const dockerRun: Measure = {
  name: 'docker-run',
  title: '`docker run --rm --network none busybox true`',
  unit: 'ms',
  better: 'lower',
  rounds: 25,
  goals: [
    {
      what: 'through us against the same runtime direct',
      figure: ratio(ourRuntimeBehindUs, ourRuntime),
      unit: '×',
      side: 'at most',
      must: 1.05,
      aim: 1,
    },
    {
      what: 'isolated, through us, against plain runc',
      figure: ratio(ourRuntimeBehindUs, plainRunc),
      unit: '×',
      side: 'at most',
      must: 1.15,
      aim: 1.08,
    },
  ],
  async prepare(stage) {
    const { engine } = await stage.real();
    const plain = await stage.plain();
    const run = (...more: string[]): string[] => ['run', '--rm', ...offline, ...more, 'busybox', 'true'];
    const behind = await proxies(stage);
    return [
      { name: plainRunc, sample: async () => ({ value: await timed(plain.cli, ...run()) }) },
      { name: ourRuntime, sample: async () => ({ value: await timed(engine.cli, ...run()) }) },
      ...behind
        .filter(({ target }) => target.name !== direct)
        .map(({ target, cli }) => ({
          name: `our runtime, through ${target.name}`,
          sample: async () => ({ value: await timed(cli, ...run()) }),
        })),
    ];
  },
};

/**
 * Samplers for a container that is there already: on plain runc, and isolated through us.
 * @param setUp what is done to each container before
 * @param bare also isolated without the proxy, to tell its part from the runtime's
 */
async function onExisting(
  stage: Stage,
  work: (cli: DockerCli, name: string) => Promise<number>,
  { setUp, bare }: { setUp?: (cli: DockerCli, name: string) => Promise<unknown>; bare?: boolean } = {},
): Promise<Sampler[]> {
  const plain = await stage.plain();
  const ours = (await proxies(stage)).find(({ target }) => target.name === us);
  if (!ours) throw new Error('cofferdam is not among the targets');
  const samplers: Sampler[] = [];
  for (const [name, cli] of [
    [plainRunc, plain.cli],
    [isolated, ours.cli],
    ...(bare === true ? ([[isolatedDirect, (await stage.real()).engine.cli]] as const) : []),
  ] as const) {
    const maker = cli === plain.cli ? cli : ours.cli;
    const container = await maker.must('run', '-d', ...offline, '-v', '/work', 'busybox', 'sleep', '100000');
    await setUp?.(maker, container);
    samplers.push({ name, sample: async () => ({ value: await work(cli, container) }) });
  }
  return samplers;
}

export const dockerExec: Measure = {
  name: 'docker-exec',
  title: '`docker exec X true`',
  unit: 'ms',
  better: 'lower',
  rounds: 40,
  goals: [atMost(1.02)],
  prepare: (stage) => onExisting(stage, (cli, name) => timed(cli, 'exec', name, 'true'), { bare: true }),
};

export const dockerStart: Measure = {
  name: 'docker-start',
  title: '`docker start X` of a stopped container',
  unit: 'ms',
  better: 'lower',
  rounds: 20,
  goals: [atMost(1.15, 1.08)],
  prepare: (stage) =>
    onExisting(
      stage,
      async (cli, name) => {
        await cli.must('kill', name);
        return timed(cli, 'start', name);
      },
      { bare: true },
    ),
};

/** Ten RUN steps, never from a cache: BuildKit on an engine of its own, and ours. */
export const build: Measure = {
  name: 'build',
  title: '`docker build` of ten RUN steps (BuildKit)',
  unit: 'ms',
  better: 'lower',
  rounds: 6,
  goals: [atMost(1.15)],
  async prepare(stage) {
    const plain = await stage.plain();
    const ours = (await proxies(stage)).find(({ target }) => target.name === us);
    const dockerfile = `FROM busybox\n${Array.from({ length: 10 }, (_, step) => `RUN true # ${step}\n`).join('')}`;
    const sampler = (name: string, cli: DockerCli): Sampler => ({
      name,
      async sample() {
        const begin = performance.now();
        const argv = ['build', '--no-cache', '--network', 'none', '-'];
        const { code, stderr } = await cli.run(argv, { input: dockerfile });
        if (code !== 0) throw new Error(stderr);
        return { value: performance.now() - begin };
      },
    });
    return [sampler(plainRunc, plain.cli), ...(ours ? [sampler(isolated, ours.cli)] : [])];
  },
};

const manyFiles =
  'mkdir /many; cd /many; for d in $(seq 200); do mkdir $d; for f in $(seq 100); do echo $f > $d/$f; done; done; tar -C /many -cf /many.tar .';

/**
 * File-system work inside a container: on its own layers, which an isolated one sees through a second overlay.
 * @param script the work of one sample, by its number
 */
function fileWork(name: string, title: string, script: (sample: number) => string): Measure {
  let samples = 0;
  return {
    name,
    title,
    unit: 'ms',
    better: 'lower',
    rounds: 7,
    // 0.97 × the speed.
    goals: [atMost(1 / 0.97)],
    prepare: (stage) =>
      onExisting(
        stage,
        (cli, container) => {
          samples += 1;
          return timed(cli, 'exec', container, 'sh', '-c', script(samples));
        },
        { setUp: (cli, container) => cli.must('exec', container, 'sh', '-c', manyFiles) },
      ),
  };
}

// Into a new folder each time, and nothing is deleted: ext4 passes over inodes that were freed a short while ago
// (fs/ext4/ialloc.c, recently_deleted) one by one, which soon takes eight times as long as the unpacking.
export const untar = fileWork(
  'untar',
  'unpack 20,000 files inside',
  (sample) => `mkdir /out-${sample} && tar -C /out-${sample} -xf /many.tar`,
);
export const readFiles = fileWork(
  'read-files',
  'read 20,000 files inside',
  () => 'find /many -type f | xargs cat > /dev/null',
);

/** Reads of one sample, and the size of the file that they are from. */
const reads = 20_000;
const fileBytes = 64 * 1024 * 1024;

/** 4 KiB at random places of a file in the container's root, through the mount that the container has of it. */
export const randomReads: Measure = {
  name: 'random-reads',
  title: '20,000 reads of 4 KiB at random places of a file inside',
  unit: 'ms',
  better: 'lower',
  rounds: 9,
  goals: [atMost(1 / 0.97)],
  prepare: (stage) =>
    onExisting(
      stage,
      async (cli, container) => {
        const pid = await cli.must('inspect', '--format', '{{.State.Pid}}', container);
        const file = openSync(`/proc/${pid}/root/big`, 'r');
        const block = Buffer.alloc(4096);
        const begin = performance.now();
        for (let count = 0; count < reads; count += 1) {
          readSync(file, block, 0, block.length, Math.floor(Math.random() * (fileBytes / 4096)) * 4096);
        }
        const milliseconds = performance.now() - begin;
        closeSync(file);
        return milliseconds;
      },
      {
        setUp: (cli, container) =>
          cli.must(
            'exec',
            container,
            'dd',
            'if=/dev/urandom',
            'of=/big',
            'bs=1M',
            `count=${fileBytes >> 20}`,
          ),
      },
    ),
};
