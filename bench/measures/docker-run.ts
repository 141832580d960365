/** What a person feels: docker commands, from the start of the CLI to its end. */
import { join } from 'node:path';
import { mustRun } from '../../src/engine/embedded/command.js';
import type { DockerCli } from '../../test/support/docker-cli.js';
import type { Measure, Sampler } from '../measure.js';
import { direct, type Stage, type Target, us } from '../stage.js';

const offline = ['--network', 'none'] as const;

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
  async prepare(stage) {
    const { engine } = await stage.real();
    const plain = await stage.plain();
    const run = (...more: string[]): string[] => ['run', '--rm', ...offline, ...more, 'busybox', 'true'];
    const behind = await proxies(stage);
    return [
      { name: 'plain runc', sample: async () => ({ value: await timed(plain.cli, ...run()) }) },
      { name: 'our runtime, direct', sample: async () => ({ value: await timed(engine.cli, ...run()) }) },
      ...behind
        .filter(({ target }) => target.name !== direct)
        .map(({ target, cli }) => ({
          name: `our runtime, through ${target.name}`,
          sample: async () => ({ value: await timed(cli, ...run()) }),
        })),
    ];
  },
};

/** Samplers for a container that is there already: on plain runc, and isolated through us. */
async function onExisting(
  stage: Stage,
  work: (cli: DockerCli, name: string) => Promise<number>,
  setUp?: (cli: DockerCli, name: string) => Promise<unknown>,
): Promise<Sampler[]> {
  const plain = await stage.plain();
  const ours = (await proxies(stage)).find(({ target }) => target.name === us);
  if (!ours) throw new Error('cofferdam is not among the targets');
  const samplers: Sampler[] = [];
  for (const [name, cli] of [
    ['plain runc', plain.cli],
    ['isolated, through cofferdam', ours.cli],
  ] as const) {
    const container = await cli.must('run', '-d', ...offline, '-v', '/work', 'busybox', 'sleep', '100000');
    await setUp?.(cli, container);
    samplers.push({ name, sample: async () => ({ value: await work(cli, container) }) });
  }
  return samplers;
}

export const dockerExec: Measure = {
  name: 'docker-exec',
  title: '`docker exec X true`',
  unit: 'ms',
  better: 'lower',
  rounds: 25,
  prepare: (stage) => onExisting(stage, (cli, name) => timed(cli, 'exec', name, 'true')),
};

export const dockerStart: Measure = {
  name: 'docker-start',
  title: '`docker start X` of a stopped container',
  unit: 'ms',
  better: 'lower',
  rounds: 20,
  prepare: (stage) =>
    onExisting(stage, async (cli, name) => {
      await cli.must('kill', name);
      return timed(cli, 'start', name);
    }),
};

/** Ten RUN steps, never from a cache: BuildKit on an engine of its own, and ours. */
export const build: Measure = {
  name: 'build',
  title: '`docker build` of ten RUN steps (BuildKit)',
  unit: 'ms',
  better: 'lower',
  rounds: 6,
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
    return [
      sampler('plain runc', plain.cli),
      ...(ours ? [sampler('isolated, through cofferdam', ours.cli)] : []),
    ];
  },
};

const manyFiles =
  'mkdir /many; cd /many; for d in $(seq 200); do mkdir $d; for f in $(seq 100); do echo $f > $d/$f; done; done; tar -C /many -cf /many.tar .';

/** File-system work inside a container: on its own layers, which an isolated one sees through a second overlay. */
function fileWork(name: string, title: string, script: string): Measure {
  return {
    name,
    title,
    unit: 'ms',
    better: 'lower',
    rounds: 7,
    prepare: (stage) =>
      onExisting(
        stage,
        (cli, container) => timed(cli, 'exec', container, 'sh', '-c', script),
        (cli, container) => cli.must('exec', container, 'sh', '-c', manyFiles),
      ),
  };
}

export const untar = fileWork(
  'untar',
  'unpack 20,000 files inside',
  'rm -rf /out && mkdir /out && tar -C /out -xf /many.tar',
);
export const readFiles = fileWork(
  'read-files',
  'read 20,000 files inside',
  'find /many -type f | xargs cat > /dev/null',
);

/** One image of 256 MiB, made once for the bulk measures on the real engine. */
export async function bigImage(stage: Stage): Promise<string> {
  const { engine } = await stage.real();
  if ((await engine.docker('inspect', 'big')).code === 0) return 'big';
  const tar = join(stage.folder, 'big.tar');
  const random = join(stage.folder, 'random');
  await mustRun('dd', ['if=/dev/urandom', `of=${random}`, 'bs=1M', 'count=256']);
  await mustRun('tar', ['-C', stage.folder, '-cf', tar, 'random']);
  await engine.cli.must('import', tar, 'big');
  return 'big';
}
