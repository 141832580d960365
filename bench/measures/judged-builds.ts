/** What judging builds costs: the same engine and runtime, directly and through cofferdam with a registry list on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DockerCli } from '../../test/support/docker-cli.js';
import { ratio } from '../goals.js';
import type { Measure, Sampler } from '../measure.js';
import { changeSettings, direct, type Stage, us } from '../stage.js';

const megabytes = 500;

/** Direct and judged, with a list that lacks the base image's registry: the image is taken from the store. */
async function bothWays(
  stage: Stage,
  sample: (cli: DockerCli) => Promise<number>,
): Promise<readonly Sampler[]> {
  const { engine, cofferdam } = await stage.real();
  const restore = await changeSettings(cofferdam, {
    enhancedContainerIsolation: { value: true },
    registryAccess: { value: true, registries: [{ address: 'registry.example' }], localImages: true },
  });
  const sampler = (name: string, cli: DockerCli): Sampler => ({
    name,
    sample: async () => ({ value: await sample(cli) }),
  });
  return [{ ...sampler(direct, engine.cli), close: restore }, sampler(us, cofferdam.cli)];
}

async function buildTime(cli: DockerCli, argv: readonly string[], input?: string): Promise<number> {
  const begin = performance.now();
  const { code, stderr } = await cli.run(['buildx', 'build', '--provenance=false', ...argv], {
    ...(input === undefined ? {} : { input }),
  });
  if (code !== 0) throw new Error(stderr);
  return performance.now() - begin;
}

export const judgedBuild: Measure = {
  name: 'judged-build',
  title: '`docker buildx build` of ten RUN steps, judged by a registry list',
  unit: 'ms',
  better: 'lower',
  rounds: 8,
  goals: [{ what: 'against direct', figure: ratio(us, direct), unit: '×', side: 'at most', must: 1.05 }],
  prepare(stage) {
    const steps = Array.from({ length: 10 }, (_, step) => `RUN true # ${step}\n`).join('');
    return bothWays(stage, (cli) =>
      buildTime(cli, ['--no-cache', '--network', 'none', '-'], `FROM busybox\n${steps}`),
    );
  },
};

export const judgedContext: Measure = {
  name: 'judged-context',
  title: `\`docker buildx build\` with a context of ${megabytes} MB, judged by a registry list`,
  unit: 'MB/s',
  better: 'higher',
  rounds: 4,
  goals: [{ what: 'against direct', figure: ratio(us, direct), unit: '×', side: 'at least', must: 0.9 }],
  prepare(stage) {
    return bothWays(stage, async (cli) => {
      // A new folder each time: BuildKit sends only what it hasn't got.
      const folder = mkdtempSync(join(tmpdir(), 'cofferdam-context-'));
      try {
        writeFileSync(join(folder, 'Dockerfile'), 'FROM busybox\nCOPY large /large\n');
        writeFileSync(join(folder, 'large'), Buffer.alloc(megabytes * 1e6, Math.random().toString()));
        const milliseconds = await buildTime(cli, ['--no-cache', folder]);
        await cli.must('buildx', 'prune', '--all', '--force');
        return (megabytes * 1000) / milliseconds;
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  },
};
