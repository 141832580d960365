/**
 * The rows of the route table: every endpoint of the Engine API, grouped by noun. Docker facts only, no policy.
 * Source: moby `daemon/server/router/**` and `api/server/router/**`, v20.10 to v29. Endpoints that only API versions
 * below 1.24 had (`/containers/{id}/copy`, `/images/viz`, `/images/{name}/insert`) have no row on purpose, nor has
 * OPTIONS, which no client uses.
 */
import type { Method, Route } from './routes.js';

type Extras = Pick<Route, 'body' | 'answer' | 'object' | 'repeatable' | 'ignoredQuery' | 'slashes'>;

function row(
  name: string,
  method: Method,
  path: string,
  since: string,
  query: readonly string[] = [],
  extras: Partial<Extras> = {},
): Route {
  return { name, method, path, since, query, body: 'none', answer: 'plain', ...extras };
}

const json = { body: 'json' } as const;
const stream = { answer: 'stream' } as const;
const container = { object: 'container', slashes: true } as const;
const exec = { object: 'exec', slashes: true } as const;
const image = { object: 'image', slashes: true } as const;
const volume = { object: 'volume', slashes: true } as const;
const network = { object: 'network', slashes: true } as const;
const plugin = { object: 'plugin', slashes: true } as const;
const swarm = { object: 'swarm' } as const;

const logQuery = ['stdout', 'stderr', 'follow', 'timestamps', 'since', 'tail', 'details'];
const attachQuery = ['stdin', 'stdout', 'stderr', 'logs', 'stream', 'detachKeys'];

const systemRoutes: readonly Route[] = [
  row('system.ping', 'GET', '/_ping', '1.11'),
  row('system.ping-head', 'HEAD', '/_ping', '1.40'),
  row('system.version', 'GET', '/version', '1.0'),
  row('system.info', 'GET', '/info', '1.0'),
  row('system.events', 'GET', '/events', '1.3', ['since', 'until', 'filters'], stream),
  row('system.disk-usage', 'GET', '/system/df', '1.25', ['type', 'verbose'], { repeatable: ['type'] }),
  row('system.auth', 'POST', '/auth', '1.0', [], json),
];

const containerRoutes: readonly Route[] = [
  row(
    'container.list',
    'GET',
    '/containers/json',
    '1.0',
    ['all', 'limit', 'size', 'filters', 'since', 'before'],
    { ignoredQuery: ['trunc_cmd'] },
  ),
  row('container.create', 'POST', '/containers/create', '1.0', ['name', 'platform'], json),
  row('container.inspect', 'GET', '/containers/{id}/json', '1.0', ['size'], container),
  row('container.top', 'GET', '/containers/{id}/top', '1.3', ['ps_args'], container),
  row('container.logs', 'GET', '/containers/{id}/logs', '1.11', [...logQuery, 'until', 'format'], {
    ...container,
    ...stream,
  }),
  row('container.changes', 'GET', '/containers/{id}/changes', '1.0', [], container),
  row('container.export', 'GET', '/containers/{id}/export', '1.0', [], { ...container, ...stream }),
  row('container.stats', 'GET', '/containers/{id}/stats', '1.17', ['stream', 'one-shot'], {
    ...container,
    ...stream,
  }),
  row('container.resize', 'POST', '/containers/{id}/resize', '1.15', ['h', 'w'], container),
  row(
    'container.start',
    'POST',
    '/containers/{id}/start',
    '1.0',
    ['checkpoint', 'checkpoint-dir'],
    container,
  ),
  row('container.stop', 'POST', '/containers/{id}/stop', '1.0', ['t', 'signal'], container),
  row('container.restart', 'POST', '/containers/{id}/restart', '1.0', ['t', 'signal'], container),
  row('container.kill', 'POST', '/containers/{id}/kill', '1.0', ['signal'], container),
  row('container.pause', 'POST', '/containers/{id}/pause', '1.12', [], container),
  row('container.unpause', 'POST', '/containers/{id}/unpause', '1.12', [], container),
  row('container.wait', 'POST', '/containers/{id}/wait', '1.0', ['condition'], { ...container, ...stream }),
  row('container.rename', 'POST', '/containers/{id}/rename', '1.17', ['name'], container),
  row('container.update', 'POST', '/containers/{id}/update', '1.22', [], { ...container, ...json }),
  row('container.attach', 'POST', '/containers/{id}/attach', '1.0', attachQuery, {
    ...container,
    answer: 'hijack',
    ignoredQuery: ['hijack'],
  }),
  row('container.attach-websocket', 'GET', '/containers/{id}/attach/ws', '1.0', attachQuery, {
    ...container,
    answer: 'websocket',
  }),
  row('container.archive-info', 'HEAD', '/containers/{id}/archive', '1.20', ['path'], container),
  row('container.archive-get', 'GET', '/containers/{id}/archive', '1.20', ['path'], {
    ...container,
    ...stream,
  }),
  row(
    'container.archive-put',
    'PUT',
    '/containers/{id}/archive',
    '1.20',
    ['path', 'noOverwriteDirNonDir', 'copyUIDGID'],
    { ...container, body: 'stream' },
  ),
  row('container.delete', 'DELETE', '/containers/{id}', '1.0', ['v', 'force', 'link'], container),
  row('container.prune', 'POST', '/containers/prune', '1.25', ['filters']),
  row('exec.create', 'POST', '/containers/{id}/exec', '1.15', [], { ...container, ...json }),
  row('exec.start', 'POST', '/exec/{id}/start', '1.15', [], { ...exec, ...json, answer: 'hijack' }),
  row('exec.resize', 'POST', '/exec/{id}/resize', '1.15', ['h', 'w'], exec),
  row('exec.inspect', 'GET', '/exec/{id}/json', '1.16', [], exec),
  row('checkpoint.list', 'GET', '/containers/{id}/checkpoints', '1.25', ['dir'], container),
  row('checkpoint.create', 'POST', '/containers/{id}/checkpoints', '1.25', [], { ...container, ...json }),
  row('checkpoint.delete', 'DELETE', '/containers/{id}/checkpoints/{checkpoint}', '1.25', ['dir'], {
    object: 'container',
  }),
];

const buildQuery = [
  'dockerfile',
  't',
  'extrahosts',
  'securityopt',
  'remote',
  'q',
  'nocache',
  'cachefrom',
  'pull',
  'rm',
  'forcerm',
  'memory',
  'memswap',
  'cpushares',
  'cpusetcpus',
  'cpusetmems',
  'cpuperiod',
  'cpuquota',
  'cgroupparent',
  'buildargs',
  'shmsize',
  'squash',
  'labels',
  'networkmode',
  'platform',
  'target',
  'outputs',
  'version',
  'session',
  'buildid',
  'isolation',
  'ulimits',
];

const imageRoutes: readonly Route[] = [
  row(
    'image.list',
    'GET',
    '/images/json',
    '1.0',
    ['all', 'filters', 'filter', 'shared-size', 'manifests', 'identity'],
    { ignoredQuery: ['only_ids', 'digests'] },
  ),
  row('image.search', 'GET', '/images/search', '1.0', ['term', 'limit', 'filters']),
  row('image.save-many', 'GET', '/images/get', '1.15', ['names', 'platform'], {
    ...stream,
    repeatable: ['names', 'platform'],
  }),
  row('image.save', 'GET', '/images/{name}/get', '1.7', ['platform'], {
    ...image,
    ...stream,
    repeatable: ['platform'],
  }),
  row('image.history', 'GET', '/images/{name}/history', '1.0', ['platform'], image),
  row('image.inspect', 'GET', '/images/{name}/json', '1.0', ['manifests', 'platform'], image),
  row('image.attestations', 'GET', '/images/{name}/attestations', '1.55', ['platform', 'type', 'statement'], {
    ...image,
    repeatable: ['platform', 'type'],
  }),
  row('image.load', 'POST', '/images/load', '1.7', ['quiet', 'platform'], {
    ...stream,
    body: 'stream',
    repeatable: ['platform'],
  }),
  // One endpoint for two verbs: with `fromImage` a pull, with `fromSrc` an import.
  row(
    'image.pull',
    'POST',
    '/images/create',
    '1.0',
    ['fromImage', 'fromSrc', 'repo', 'tag', 'message', 'changes', 'platform'],
    { ...stream, body: 'stream', repeatable: ['changes'], ignoredQuery: ['registry'] },
  ),
  row('image.push', 'POST', '/images/{name}/push', '1.0', ['tag', 'platform'], { ...image, ...stream }),
  row('image.tag', 'POST', '/images/{name}/tag', '1.0', ['repo', 'tag'], {
    ...image,
    ignoredQuery: ['force'],
  }),
  row('image.prune', 'POST', '/images/prune', '1.25', ['filters']),
  row('image.delete', 'DELETE', '/images/{name}', '1.0', ['force', 'noprune', 'platforms'], {
    ...image,
    repeatable: ['platforms'],
  }),
  row(
    'image.commit',
    'POST',
    '/commit',
    '1.0',
    ['container', 'repo', 'tag', 'comment', 'author', 'pause', 'changes'],
    { ...json, repeatable: ['changes'] },
  ),
  row('image.build', 'POST', '/build', '1.0', buildQuery, {
    ...stream,
    body: 'stream',
    repeatable: ['t', 'extrahosts', 'securityopt'],
  }),
  row('build.prune', 'POST', '/build/prune', '1.31', [
    'all',
    'filters',
    'keep-storage',
    'reserved-space',
    'max-used-space',
    'min-free-space',
  ]),
  row('build.cancel', 'POST', '/build/cancel', '1.39', ['id']),
  row('build.session', 'POST', '/session', '1.31', [], { answer: 'h2c' }),
  row('build.grpc', 'POST', '/grpc', '1.39', [], { answer: 'h2c' }),
  row('distribution.inspect', 'GET', '/distribution/{name}/json', '1.30', [], image),
];

const volumeRoutes: readonly Route[] = [
  row('volume.list', 'GET', '/volumes', '1.21', ['filters']),
  row('volume.inspect', 'GET', '/volumes/{name}', '1.21', [], volume),
  row('volume.create', 'POST', '/volumes/create', '1.21', [], json),
  row('volume.update', 'PUT', '/volumes/{name}', '1.42', ['version'], { ...volume, ...json }),
  row('volume.prune', 'POST', '/volumes/prune', '1.25', ['filters']),
  row('volume.delete', 'DELETE', '/volumes/{name}', '1.21', ['force'], volume),
];

const networkRoutes: readonly Route[] = [
  row('network.list', 'GET', '/networks', '1.21', ['filters']),
  row('network.inspect', 'GET', '/networks/{id}', '1.21', ['verbose', 'scope'], network),
  row('network.create', 'POST', '/networks/create', '1.21', [], json),
  row('network.connect', 'POST', '/networks/{id}/connect', '1.21', [], { ...network, ...json }),
  row('network.disconnect', 'POST', '/networks/{id}/disconnect', '1.21', [], { ...network, ...json }),
  row('network.prune', 'POST', '/networks/prune', '1.25', ['filters']),
  row('network.delete', 'DELETE', '/networks/{id}', '1.21', [], network),
];

const pluginRoutes: readonly Route[] = [
  row('plugin.list', 'GET', '/plugins', '1.24', ['filters']),
  row('plugin.privileges', 'GET', '/plugins/privileges', '1.25', ['remote']),
  row('plugin.inspect', 'GET', '/plugins/{name}/json', '1.25', [], plugin),
  row('plugin.pull', 'POST', '/plugins/pull', '1.24', ['remote', 'name'], { ...json, ...stream }),
  row('plugin.create', 'POST', '/plugins/create', '1.25', ['name'], { body: 'stream' }),
  row('plugin.enable', 'POST', '/plugins/{name}/enable', '1.25', ['timeout'], plugin),
  row('plugin.disable', 'POST', '/plugins/{name}/disable', '1.25', ['force'], plugin),
  row('plugin.upgrade', 'POST', '/plugins/{name}/upgrade', '1.26', ['remote'], {
    ...plugin,
    ...json,
    ...stream,
  }),
  row('plugin.push', 'POST', '/plugins/{name}/push', '1.25', [], { ...plugin, ...stream }),
  row('plugin.set', 'POST', '/plugins/{name}/set', '1.25', [], { ...plugin, ...json }),
  row('plugin.delete', 'DELETE', '/plugins/{name}', '1.25', ['force'], plugin),
];

const swarmRoutes: readonly Route[] = [
  row('swarm.inspect', 'GET', '/swarm', '1.24'),
  row('swarm.init', 'POST', '/swarm/init', '1.24', [], json),
  row('swarm.join', 'POST', '/swarm/join', '1.24', [], json),
  row('swarm.leave', 'POST', '/swarm/leave', '1.24', ['force']),
  row(
    'swarm.update',
    'POST',
    '/swarm/update',
    '1.24',
    ['version', 'rotateWorkerToken', 'rotateManagerToken', 'rotateManagerUnlockKey'],
    json,
  ),
  row('swarm.unlock-key', 'GET', '/swarm/unlockkey', '1.24'),
  row('swarm.unlock', 'POST', '/swarm/unlock', '1.24', [], json),
  row('service.list', 'GET', '/services', '1.24', ['filters', 'status']),
  row('service.create', 'POST', '/services/create', '1.24', [], json),
  row('service.inspect', 'GET', '/services/{id}', '1.24', ['insertDefaults'], swarm),
  row(
    'service.update',
    'POST',
    '/services/{id}/update',
    '1.24',
    ['version', 'registryAuthFrom', 'rollback'],
    {
      ...swarm,
      ...json,
    },
  ),
  row('service.delete', 'DELETE', '/services/{id}', '1.24', [], swarm),
  row('service.logs', 'GET', '/services/{id}/logs', '1.29', logQuery, { ...swarm, ...stream }),
  row('task.list', 'GET', '/tasks', '1.24', ['filters']),
  row('task.inspect', 'GET', '/tasks/{id}', '1.24', [], swarm),
  row('task.logs', 'GET', '/tasks/{id}/logs', '1.29', logQuery, { ...swarm, ...stream }),
  row('node.list', 'GET', '/nodes', '1.24', ['filters']),
  row('node.inspect', 'GET', '/nodes/{id}', '1.24', [], swarm),
  row('node.update', 'POST', '/nodes/{id}/update', '1.24', ['version'], { ...swarm, ...json }),
  row('node.delete', 'DELETE', '/nodes/{id}', '1.24', ['force'], swarm),
  ...['secret', 'config'].flatMap((noun): Route[] => {
    const since = noun === 'secret' ? '1.25' : '1.30';
    return [
      row(`${noun}.list`, 'GET', `/${noun}s`, since, ['filters']),
      row(`${noun}.create`, 'POST', `/${noun}s/create`, since, [], json),
      row(`${noun}.inspect`, 'GET', `/${noun}s/{id}`, since, [], swarm),
      row(`${noun}.update`, 'POST', `/${noun}s/{id}/update`, since, ['version'], { ...swarm, ...json }),
      row(`${noun}.delete`, 'DELETE', `/${noun}s/{id}`, since, [], swarm),
    ];
  }),
];

/** Served only by an engine with `"debug": true`. */
const debugRoutes: readonly Route[] = [
  row('debug.vars', 'GET', '/debug/vars', '1.24'),
  row('debug.pprof-index', 'GET', '/debug/pprof/', '1.24'),
  row('debug.pprof-cmdline', 'GET', '/debug/pprof/cmdline', '1.24'),
  row('debug.pprof-profile', 'GET', '/debug/pprof/profile', '1.24', ['seconds'], stream),
  row('debug.pprof-symbol', 'GET', '/debug/pprof/symbol', '1.24'),
  row('debug.pprof-trace', 'GET', '/debug/pprof/trace', '1.24', ['seconds'], stream),
  row('debug.pprof', 'GET', '/debug/pprof/{name}', '1.24', ['debug', 'gc', 'seconds'], stream),
];

/** Every endpoint, grouped by noun. */
export const routes: readonly Route[] = [
  ...systemRoutes,
  ...containerRoutes,
  ...imageRoutes,
  ...volumeRoutes,
  ...networkRoutes,
  ...pluginRoutes,
  ...swarmRoutes,
  ...debugRoutes,
];
