/**
 * What a user tries with another user's container that holds that user's files. All of it succeeds on plain dockerd.
 */
import type { World } from './world.js';

export interface Attack {
  readonly name: string;
  /** @returns whether it succeeded */
  run(world: World): Promise<boolean>;
}

/** What none of the attackers may read. */
export const secret = 'top secret';

/** A container of the victim's that holds its private files. */
async function victimContainer(world: World): Promise<string> {
  const name = 'victim';
  const known = await world.as(world.victim, 'inspect', name);
  if (known.code === 0) return name;
  await world.victim.shell(`mkdir -p diary && chmod 700 diary && echo ${secret} > diary/page`);
  const flags = [
    '-d',
    '--name',
    name,
    '--network',
    'none',
    '--ipc=shareable',
    '-v',
    `${world.victim.home}/diary:/diary`,
  ];
  await world.victim.must(world.cli, 'run', ...flags, 'busybox', 'sleep', '1000000');
  return name;
}

/** Attacks on a container that holds another user's files: whether the command did what it says. */
function entering(name: string, argv: readonly string[], got: (output: string) => boolean): Attack {
  return {
    name,
    run: async (world) => {
      await victimContainer(world);
      const { code, stdout } = await world.as(world.mallory, ...argv);
      return code === 0 && got(stdout);
    },
  };
}

const anything = (): boolean => true;
const theSecret = (output: string): boolean => output.includes(secret);
const joined = ['run', '--rm', 'busybox'];

export const enteringAttacks: readonly Attack[] = [
  entering('enter another user’s container (exec)', ['exec', 'victim', 'cat', '/diary/page'], theSecret),
  entering('copy out of it (cp)', ['cp', 'victim:/diary/page', '-'], theSecret),
  entering(
    'take its volumes',
    ['run', '--rm', '--network=none', '--volumes-from=victim', 'busybox', 'cat', '/diary/page'],
    theSecret,
  ),
  entering(
    'look through its processes',
    ['run', '--rm', '--network=none', '--pid=container:victim', 'busybox', 'cat', '/proc/1/root/diary/page'],
    theSecret,
  ),
  entering(
    'join its network',
    [...joined.slice(0, 2), '--network=container:victim', 'busybox', 'true'],
    anything,
  ),
  entering(
    'join its shared memory',
    ['run', '--rm', '--network=none', '--ipc=container:victim', 'busybox', 'true'],
    (output) => output === '',
  ),
  entering('export it', ['export', '-o', 'exported.tar', 'victim'], anything),
  entering('make an image of it', ['commit', 'victim', 'of-victim'], anything),
  entering('change its limits', ['update', '--memory=64m', '--memory-swap=64m', 'victim'], anything),
  entering('halt it', ['pause', 'victim'], anything),
  entering('take its network away', ['network', 'disconnect', '--force', 'none', 'victim'], anything),
  entering('rename it', ['rename', 'victim', 'victim-renamed'], anything),
  {
    name: 'remove it by a prune, once it has ended',
    run: async (world) => {
      await victimContainer(world);
      const home = world.victim.home;
      const create = ['create', '--network=none', '-v', `${home}/diary:/diary`, 'busybox', 'true'];
      const id = await world.victim.must(world.cli, ...create);
      await world.as(world.mallory, 'container', 'prune', '--force');
      return (await world.asRoot('inspect', id)).code !== 0;
    },
  },
  {
    name: 'put a volume of its own in the place of another user’s',
    run: async (world) => {
      const options = ['--opt', 'type=none', '--opt', 'o=bind', '--opt', `device=${world.victim.home}/diary`];
      await world.victim.must(world.cli, 'volume', 'create', ...options, 'of-the-victim');
      const { code } = await world.as(world.mallory, 'volume', 'rm', 'of-the-victim');
      return code === 0;
    },
  },
  {
    name: 'join its network by a build step',
    run: async (world) => {
      await victimContainer(world);
      await world.mallory.shell(
        'mkdir -p joining && printf "FROM busybox\\nRUN true\\n" > joining/Dockerfile',
      );
      const build = ['build', '--no-cache', '--network=container:victim', 'joining'];
      return (await world.as(world.mallory, ...build)).code === 0;
    },
  },
  entering('end it', ['kill', 'victim'], anything),
  entering('remove it', ['rm', '--force', 'victim'], anything),
];
