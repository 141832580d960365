/**
 * Which Engine API endpoints a docker command uses: the names of `docker --help` and the groups of Docker Desktop's
 * command list. Docker facts only.
 */
import type { CommandList } from '../settings/schema.js';

const container = (verb: string) => [`container.${verb}`];

/** Endpoints that tell a client whom it talks to; every command needs them, and no list blocks them. */
export const openRoutes: ReadonlySet<string> = new Set(['system.ping', 'system.ping-head', 'system.version']);

const inspections = [
  'container.inspect',
  'image.inspect',
  'image.attestations',
  'volume.inspect',
  'network.inspect',
  'plugin.inspect',
  'swarm.inspect',
  'service.inspect',
  'task.inspect',
  'node.inspect',
  'secret.inspect',
  'config.inspect',
  'exec.inspect',
];
const execution = ['exec.create', 'exec.start', 'exec.resize', 'exec.inspect'];
const copying = ['container.archive-info', 'container.archive-get', 'container.archive-put'];
const building = ['image.build', 'build.prune', 'build.cancel', 'build.session', 'build.grpc'];

const commands: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['attach', ['container.attach', 'container.attach-websocket', 'container.resize']],
  ['build', building],
  ['builder', building],
  ['buildx', building],
  ['checkpoint', ['checkpoint.list', 'checkpoint.create', 'checkpoint.delete']],
  ['commit', ['image.commit']],
  ['cp', copying],
  ['create', container('create')],
  ['diff', container('changes')],
  ['events', ['system.events']],
  ['exec', execution],
  ['export', container('export')],
  ['history', ['image.history']],
  ['images', ['image.list']],
  ['import', ['image.pull']],
  ['info', ['system.info']],
  ['inspect', inspections],
  ['kill', container('kill')],
  ['load', ['image.load']],
  ['login', ['system.auth']],
  ['logs', ['container.logs', 'service.logs', 'task.logs']],
  ['pause', container('pause')],
  ['port', container('inspect')],
  ['ps', container('list')],
  ['pull', ['image.pull', 'distribution.inspect']],
  ['push', ['image.push']],
  ['rename', container('rename')],
  ['resize', ['container.resize', 'exec.resize']],
  ['restart', container('restart')],
  ['rm', container('delete')],
  ['rmi', ['image.delete']],
  [
    'run',
    ['create', 'start', 'attach', 'attach-websocket', 'wait', 'resize', 'inspect', 'delete'].flatMap(
      container,
    ),
  ],
  ['save', ['image.save', 'image.save-many']],
  ['search', ['image.search']],
  ['start', container('start')],
  ['stats', container('stats')],
  ['stop', container('stop')],
  ['tag', ['image.tag']],
  ['top', container('top')],
  ['unpause', container('unpause')],
  ['update', container('update')],
  ['version', ['system.version']],
  ['wait', container('wait')],
]);

/** What a command is, where it uses more than that: denying `run` doesn't deny `inspect` or `rm`. */
const cores: ReadonlyMap<string, readonly string[]> = new Map([
  ['run', ['create', 'start'].flatMap(container)],
]);

/** Groups: everything whose route begins with one of these. */
const groups: ReadonlyMap<string, readonly string[]> = new Map([
  ['container', ['container.', 'exec.', 'checkpoint.', 'image.commit']],
  ['image', ['image.', 'build.', 'distribution.']],
  ['volume', ['volume.']],
  ['network', ['network.']],
  ['build', building],
  ['system', ['system.info', 'system.events', 'system.disk-usage', 'debug.']],
  ['plugin', ['plugin.']],
  ['swarm', ['swarm.']],
  ['node', ['node.']],
  ['service', ['service.', 'task.']],
  ['stack', ['service.', 'task.']],
  ['secret', ['secret.']],
  ['config', ['config.']],
]);

/** Every name that a list can have: the commands first, narrow ones before wide ones, then the groups as `volume*`. */
export const commandNames: readonly string[] = [
  ...[...commands].sort(([, left], [, right]) => left.length - right.length).map(([name]) => name),
  ...[...groups.keys()].map((name) => `${name}*`),
];

/** What a request is for, beyond its route: one endpoint serves several commands. */
export interface CommandUse {
  readonly route: string;
  /** True for an import: `POST /images/create` with `fromSrc`. */
  readonly imports: boolean;
}

/**
 * Whether a name of a command list covers a request. Groups may be written `container`, `container*` or `containers`.
 * @param type of the list: an allowed command has everything that it uses, a denied one loses what it is
 */
export function commandCovers(
  name: string,
  { route, imports }: CommandUse,
  type: CommandList['type'] = 'allow',
): boolean {
  const plain = name.trim().toLowerCase();
  const bare = plain.replace(/\*+$/, '');
  if (bare === 'import') return route === 'image.pull' && imports;
  if (bare === 'pull' && route === 'image.pull') return !imports;
  const command = (type === 'deny' ? cores.get(bare) : undefined) ?? commands.get(bare);
  // `volume*` and `volume` mean the whole group; `build` and `build*` are the same.
  const group = groups.get(bare) ?? groups.get(bare.replace(/s$/, ''));
  // What makes an image of a container is `docker container commit`, and no command of `docker image`.
  const inGroup = group?.some((prefix) =>
    prefix.endsWith('.') ? route.startsWith(prefix) && route !== 'image.commit' : route === prefix,
  );
  return command?.includes(route) === true || (inGroup === true && bare !== 'images');
}

/** True when the name means anything: for telling an administrator of a typing error. */
export function isKnownCommand(name: string): boolean {
  const bare = name.trim().toLowerCase().replace(/\*+$/, '');
  return commands.has(bare) || groups.has(bare) || groups.has(bare.replace(/s$/, ''));
}
