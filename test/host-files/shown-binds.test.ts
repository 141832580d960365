/** `docker inspect` shows the binds of a container as they were asked for, and as an engine of one's own shows them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { engineVersions } from '../support/engines.js';
import { openWorld, type World } from './world.js';

const shownSchema = z.object({
  HostConfig: z.object({
    // The command line sends them in an order of its own each time.
    Binds: z
      .array(z.string())
      .nullable()
      .transform((list) => list?.sort() ?? null),
    Mounts: z.unknown().optional(),
  }),
  Mounts: z.array(z.record(z.string(), z.unknown())),
});

describe.each(engineVersions)('on engine %s', (version) => {
  const worlds: World[] = [];
  beforeAll(async () => {
    for (const kind of ['dockerd', 'cofferdam'] as const) worlds.push(await openWorld(kind, version));
  });
  afterAll(async () => {
    for (const world of worlds) await world.stop();
  });

  /** What a container's inspect says of mounts, with the world's own folders taken out. */
  async function shown(world: World, name: string, ...flags: string[]): Promise<unknown> {
    const { mallory, cli } = world;
    await mallory.must(cli, 'create', '--name', name, '--network=none', ...flags, 'busybox', 'true');
    const text = await mallory.must(cli, 'inspect', '--format', '{{json .}}', name);
    const { HostConfig, Mounts } = shownSchema.parse(JSON.parse(text));
    const byDestination = Mounts.sort((one, other) =>
      String(one['Destination']).localeCompare(String(other['Destination'])),
    );
    const told = JSON.stringify({ HostConfig, Mounts: byDestination });
    return JSON.parse(told.replaceAll(world.base, '/base').replaceAll(world.engine.folder, '/engine'));
  }

  const binds = (world: World): string[] => {
    const home = world.mallory.home;
    return [
      ...[
        '-v',
        `${home}/one:/one`,
        '-v',
        `${home}/two/:/two/:ro`,
        '-v',
        'data:/data',
        '-v',
        `${home}/three:/three:rw`,
      ],
      ...['--mount', `type=bind,src=${home}/four,dst=/four,readonly`],
    ];
  };

  test.each([
    ['binds, volumes and mounts side by side', (world: World) => binds(world)],
    ['those of another container', () => ['--volumes-from', 'binds-volumes-and-mounts-side-by-side']],
    ['none', () => []],
  ])('%s', async (title, flags) => {
    const name = title.replaceAll(/\W+/g, '-');
    const answers: unknown[] = [];
    for (const world of worlds) {
      await world.mallory.shell('mkdir -p four');
      answers.push(await shown(world, name, ...flags(world)));
    }
    expect(answers[1]).toEqual(answers[0]);
  });
});
