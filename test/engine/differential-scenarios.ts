/**
 * What is done to an engine directly and through the proxy, to compare the answers. Each scenario cleans up after
 * itself, so that both sides begin with the same engine.
 */
import type { Transcript } from './transcript.js';

export interface Scenario {
  readonly title: string;
  /** Lowest API version that has what it uses. */
  readonly since?: string;
  readonly run: (side: Transcript) => Promise<void>;
}

/** The id in the answer to a create. */
function idOf(answer: { readonly body: string }): string {
  const parsed: unknown = JSON.parse(answer.body);
  if (typeof parsed === 'object' && parsed !== null) {
    for (const key of ['Id', 'ID']) {
      const id: unknown = Reflect.get(parsed, key);
      if (typeof id === 'string') return id;
    }
  }
  throw new Error(`no id in ${answer.body}`);
}

/** Only the names of the fields, at every depth: for what is measured anew each time. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, shapeOf(part)]));
}

const shape = (body: string): unknown => shapeOf(JSON.parse(body));

/** What counts itself up between two looks at an engine. */
function withoutCounters(body: string): unknown {
  const info: unknown = JSON.parse(body);
  const counters = ['NFd', 'NGoroutines', 'NEventsListener', 'SystemTime', 'MemTotal'];
  return JSON.parse(
    JSON.stringify(info, (key, value: unknown) => (counters.includes(key) ? undefined : value)),
  );
}

const sleeper = {
  Image: 'busybox',
  Cmd: ['sleep', '1000'],
  HostConfig: { NetworkMode: 'none', CgroupnsMode: 'private' },
};

async function withContainer(
  side: Transcript,
  body: unknown,
  work: (id: string) => Promise<void>,
  start = true,
): Promise<void> {
  const id = idOf(await side.call('POST', '/containers/create', { query: { name: 'web' }, body }));
  try {
    if (start) await side.call('POST', `/containers/${id}/start`);
    await work(id);
  } finally {
    await side.silent('DELETE', `/containers/${id}`, { query: { force: '1', v: '1' } });
  }
}

const system: Scenario = {
  title: 'the engine about itself',
  run: async (side) => {
    await side.call('GET', '/_ping');
    await side.call('HEAD', '/_ping');
    await side.call('GET', '/version');
    await side.call('GET', '/info', { reduce: withoutCounters });
    await side.call('GET', '/system/df', { reduce: shape });
    await side.call('GET', '/events', { query: { since: '0', until: '1' } });
    await side.call('GET', '/events', { query: { since: 'never' } });
    await side.call('GET', '/containers/json', { query: { all: '1' } });
    await side.call('GET', '/containers/json', { query: { filters: '{"no":["such"]}' } });
    await side.call('GET', '/containers/json', { query: { limit: 'x' } });
    await side.call('GET', '/images/json', { query: { all: '1' } });
    await side.call('GET', '/volumes');
    for (const path of ['/networks', '/networks/']) {
      await side.call('GET', path, {
        query: { filters: '{"type":["builtin"]}' },
        reduce: (body) => JSON.parse(body).length,
      });
    }
    await side.call('GET', '/plugins');
  },
};

const containers: Scenario = {
  title: 'the life of a container',
  run: async (side) => {
    await withContainer(side, sleeper, async (id) => {
      await side.call('GET', `/containers/${id}/json`, { query: { size: '1' }, reduce: shape });
      await side.call('GET', '/containers/web/json', { reduce: shape });
      await side.call('GET', '/containers/json');
      await side.call('GET', '/containers/web/changes');
      await side.call('GET', `/containers/${id.slice(0, 12)}/top`, {
        query: { ps_args: '-o pid,comm' },
        reduce: shape,
      });
      await side.call('GET', '/containers/web/stats', { query: { stream: '0' }, reduce: shape });
      await side.call('GET', '/containers/web/logs', { query: { stdout: '1' } });
      await side.call('GET', '/containers/web/logs');
      await side.call('POST', '/containers/web/resize', { query: { h: '1', w: '1' } });
      await side.call('POST', '/containers/web/resize', { query: { h: 'x', w: '1' } });
      await side.call('POST', '/containers/web/start');
      await side.call('POST', '/containers/web/update', { body: { CpuShares: 512 } });
      await side.call('POST', '/containers/web/update', { body: {} });
      await side.call('POST', '/containers/web/rename', { query: { name: 'new' } });
      await side.call('POST', '/containers/new/rename', { query: { name: '' } });
      await side.call('POST', '/containers/new/rename', { query: { name: 'web' } });
      await side.call('POST', '/containers/web/pause');
      await side.call('POST', '/containers/web/attach', { query: { stream: '1' } });
      await side.call('POST', '/containers/web/exec', { body: { Cmd: ['true'] } });
      await side.call('POST', '/containers/web/pause');
      await side.call('POST', '/containers/web/unpause');
      await side.call('POST', '/containers/create', { query: { name: 'web' }, body: sleeper });
      await side.call('DELETE', '/containers/web');
      await side.call('POST', '/containers/web/kill', { query: { signal: 'NO' } });
      await side.call('POST', '/containers/web/restart', { query: { t: '0' } });
      await side.call('POST', '/containers/web/kill');
      await side.call('POST', '/containers/web/wait');
      await side.call('POST', '/containers/web/stop');
      await side.call('POST', '/containers/web/kill');
      await side.call('POST', '/containers/prune', { reduce: shape });
    });
  },
};

const streams: Scenario = {
  title: 'streams of a container',
  run: async (side) => {
    const talker = {
      ...sleeper,
      Cmd: ['sh', '-c', 'cat; echo out; echo err >&2'],
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
    };
    await withContainer(
      side,
      talker,
      async (id) => {
        const started = side.silent('POST', `/containers/${id}/wait`, { query: { condition: 'next-exit' } });
        const attached = side.call('POST', `/containers/${id}/attach`, {
          query: { stream: '1', stdin: '1', stdout: '1' },
          upgrade: { protocol: 'tcp', input: 'typed\n' },
        });
        await side.silent('POST', `/containers/${id}/start`);
        await attached;
        await started;
        await side.call('GET', `/containers/${id}/logs`, { query: { stdout: '1', follow: '1', tail: '10' } });
        await side.call('GET', `/containers/${id}/export`, { reduce: (tar) => tar.length > 10_000 });
        await side.call('POST', `/containers/${id}/attach`, {
          query: { logs: '1', stdout: '1', stderr: '0' },
          upgrade: { protocol: 'tcp', input: '' },
        });
      },
      false,
    );
    await withContainer(side, sleeper, async (id) => {
      const exec = async (body: object) => idOf(await side.call('POST', `/containers/${id}/exec`, { body }));
      const echo = { AttachStdin: true, AttachStdout: true, Cmd: ['cat'] };
      const hijacked = await exec(echo);
      await side.call('POST', `/exec/${hijacked}/start`, {
        body: {},
        upgrade: { protocol: 'tcp', input: 'said\n' },
      });
      await side.call('GET', `/exec/${hijacked}/json`);
      await side.call('POST', `/exec/${hijacked}/start`, { body: {} });
      await side.call('POST', `/exec/${await exec({ Cmd: ['true'] })}/start`, { body: { Detach: true } });
      await side.call('POST', `/exec/${await exec({ AttachStdout: true, Cmd: ['echo', 'x'] })}/start`, {
        body: { Tty: false },
      });
      await side.call('POST', `/containers/${id}/exec`, { body: {} });
      await side.call('POST', `/exec/${hijacked}/resize`, { query: { h: '1', w: '1' } });
    });
  },
};

const files: Scenario = {
  title: 'files of a container',
  run: (side) =>
    withContainer(
      side,
      sleeper,
      async (id) => {
        await side.call('HEAD', `/containers/${id}/archive`, { query: { path: '/etc/passwd' } });
        await side.call('GET', `/containers/${id}/archive`, { query: { path: '/etc/passwd' } });
        await side.call('GET', `/containers/${id}/archive`, { query: { path: '/nowhere' } });
        await side.call('GET', `/containers/${id}/archive`);
        await side.call('HEAD', '/containers/web/archive', { query: { path: '/nowhere' } });
        await side.call('GET', '/containers/web/archive', { query: { path: '/nowhere' } });
        await side.call('GET', `/containers/${id.slice(0, 12)}/archive`, { query: { path: '/nowhere' } });
        const tar = await side.silent('GET', `/containers/${id}/archive`, { query: { path: '/etc/group' } });
        await side.call('PUT', `/containers/${id}/archive`, {
          query: { path: '/tmp' },
          headers: { 'Content-Type': 'application/x-tar' },
          body: Buffer.from(tar.body, 'latin1'),
        });
        await side.call('PUT', `/containers/${id}/archive`, {
          query: { path: '/nowhere' },
          body: Buffer.alloc(1024),
        });
        await side.call('GET', `/containers/${id}/changes`);
        await side.call('POST', '/commit', {
          query: { container: 'web', repo: 'made', tag: '1', comment: 'ü' },
          body: { Env: ['A=b'] },
        });
        await side.call('GET', '/images/made:1/json', { reduce: shape });
        await side.call('GET', '/images/made:1/history', { reduce: shape });
        await side.call('DELETE', '/images/made:1', { reduce: shape });
      },
      false,
    ),
};

const images: Scenario = {
  title: 'images',
  run: async (side) => {
    // What an earlier try may have left.
    await side.silent('DELETE', '/images/other/name:x', { query: { force: '1' } });
    await side.call('GET', '/images/busybox/json');
    await side.call('GET', '/images/busybox%3Alatest/json');
    await side.call('GET', '/images/busybox/history');
    await side.call('POST', '/images/busybox/tag', { query: { repo: 'other/name', tag: 'x' } });
    await side.call('POST', '/images/busybox/tag', { query: { repo: 'NOT A NAME' } });
    await side.call('GET', '/images/json', { query: { filters: '{"reference":["other/name"]}' } });
    const saved = await side.call('GET', '/images/other/name:x/get', {
      reduce: (tar) => tar.length > 10_000,
    });
    await side.call('GET', '/images/get', {
      query: { names: ['busybox', 'other/name:x'] },
      reduce: (tar) => tar.length > 10_000,
    });
    await side.call('DELETE', '/images/other/name:x', { reduce: shape });
    // The engine answers behind the archive's last file. With `Connection: close` it would not read what comes behind
    // that, and a client that still writes it would lose the answer.
    await side.call('POST', '/images/load', {
      query: { quiet: '1' },
      headers: { 'Content-Type': 'application/x-tar', Connection: 'keep-alive' },
      body: Buffer.from(saved.body, 'latin1'),
    });
    await side.call('DELETE', '/images/other/name:x', { query: { force: '1' }, reduce: shape });
    await side.call('POST', '/images/load', {
      headers: { 'Content-Type': 'application/x-tar' },
      body: Buffer.alloc(1024),
    });
    await side.call('POST', '/images/create', {
      query: { fromSrc: '-', repo: 'imported' },
      body: Buffer.alloc(1024),
    });
    await side.silent('DELETE', '/images/imported', { query: { force: '1' } });
    await side.call('POST', '/images/create', { query: { fromImage: 'NOT A NAME' } });
    await side.call('POST', '/images/nobody%2Fhas%2Fthis/push', { headers: { 'X-Registry-Auth': 'e30=' } });
    await side.call('POST', '/images/prune', { reduce: shape });
    await side.call('GET', '/images/search', { query: { term: 'x', limit: '1000' } });
    await side.call('GET', '/distribution/NOT%20A%20NAME/json');
  },
};

const builds: Scenario = {
  title: 'builds',
  run: async (side) => {
    const context = Buffer.alloc(1024);
    await side.call('POST', '/build', { headers: { 'Content-Type': 'application/x-tar' }, body: context });
    await side.call('POST', '/build', { query: { memory: 'x', t: 'NOT A NAME' }, body: context });
    await side.call('POST', '/build/prune', { reduce: shape });
    await side.call('POST', '/build/cancel', { query: { id: 'nothing' } });
    await side.call('POST', '/build/cancel');
  },
};

const volumesAndNetworks: Scenario = {
  title: 'volumes and networks',
  run: async (side) => {
    await side.call('POST', '/volumes/create', { body: { Name: 'data', Labels: { a: 'b' } } });
    await side.call('POST', '/volumes/create', { body: { Name: 'data' } });
    await side.call('POST', '/volumes/create', { body: { Name: 'not a name' } });
    await side.call('GET', '/volumes/data');
    await side.call('GET', '/volumes', { query: { filters: '{"name":["data"]}' } });
    await side.call('DELETE', '/volumes/data');
    await side.call('POST', '/volumes/prune', { reduce: shape });
    const id = idOf(
      await side.call('POST', '/networks/create', { body: { Name: 'net', CheckDuplicate: true } }),
    );
    await side.call('POST', '/networks/create', { body: { Name: 'net', CheckDuplicate: true } });
    await side.call('GET', `/networks/${id}`, { reduce: shape });
    await side.call('GET', '/networks/net', { query: { verbose: '1', scope: 'local' }, reduce: shape });
    await withContainer(
      side,
      { Image: 'busybox', HostConfig: { CgroupnsMode: 'private' } },
      async (container) => {
        await side.call('POST', `/networks/${id}/connect`, {
          body: { Container: container, EndpointConfig: { Aliases: ['alias'] } },
        });
        await side.call('POST', '/networks/net/disconnect', { body: { Container: 'web', Force: false } });
        await side.call('POST', '/networks/net/disconnect', { body: { Container: 'web' } });
      },
      false,
    );
    await side.call('DELETE', '/networks/net');
    await side.call('POST', '/networks/prune', { reduce: shape });
  },
};

/** Requests that would dial out or start a tunnel, sent so that the engine refuses them before. */
const outward: Scenario = {
  title: 'doors that lead outward',
  run: async (side) => {
    await side.call('GET', '/plugins/privileges', { query: { remote: 'NOT A NAME' } });
    await side.call('POST', '/plugins/pull', { query: { remote: 'NOT A NAME' }, body: [] });
    await side.call('POST', '/plugins/nothing/upgrade', { query: { remote: 'NOT A NAME' }, body: [] });
    await side.call('POST', '/plugins/create', { query: { name: 'NOT A NAME' } });
    await side.call('POST', '/auth', {
      body: { username: 'a', password: 'b', serveraddress: 'http://127.0.0.1:1' },
    });
    await side.call('POST', '/session');
    await side.call('POST', '/grpc');
    await side.call('POST', '/swarm/join', { body: {} });
    for (const path of ['vars', 'pprof/', 'pprof/cmdline', 'pprof/symbol', 'pprof/nothing']) {
      await side.call('GET', `/debug/${path}`, { reduce: (body) => body.length > 0 });
    }
    for (const path of ['pprof/profile', 'pprof/trace']) {
      await side.call('GET', `/debug/${path}`, {
        query: { seconds: '1' },
        reduce: (body) => body.length > 0,
      });
    }
  },
};

const swarm: Scenario = {
  title: 'a swarm of one',
  since: '1.30',
  run: async (side) => {
    await side.call('POST', '/swarm/init', {
      body: { ListenAddr: '127.0.0.1:2377', AdvertiseAddr: '127.0.0.1', Spec: {} },
      reduce: (body) => /^"[a-z0-9]{25}"\n$/.test(body),
    });
    try {
      await side.call('GET', '/swarm', { reduce: shape });
      const created = await side.call('POST', '/configs/create', {
        body: { Name: 'settings', Data: 'AAAA' },
        reduce: shape,
      });
      await side.call('GET', `/configs/${idOf(created)}`, { title: '/configs/ID', reduce: shape });
      await side.call('POST', `/configs/${idOf(created)}/update`, {
        title: '/configs/ID/update',
        query: { version: 'x' },
        body: { Name: 'settings' },
      });
      await side.call('DELETE', '/configs/settings');
      await side.call('GET', '/nodes', { reduce: shape });
      await side.call('GET', '/services');
      await side.call('GET', '/tasks');
      await side.call('GET', '/secrets');
      await side.call('POST', '/services/create', { body: { Name: 'none', TaskTemplate: {} } });
      await side.call('GET', '/swarm/unlockkey');
      await side.call('POST', '/secrets/create', { body: { Name: 'secret', Data: 'AAAA' }, reduce: shape });
      await side.call('DELETE', '/secrets/secret');
      await side.call('POST', '/swarm/update', { query: { version: 'x' }, body: { Name: 'default' } });
      await side.call('POST', '/swarm/unlock', { body: { UnlockKey: 'none' } });
    } finally {
      await side.call('POST', '/swarm/leave', { query: { force: '1' } });
      // It outlives the swarm.
      await side.silent('DELETE', '/networks/docker_gwbridge');
    }
  },
};

export const scenarios: readonly Scenario[] = [
  system,
  containers,
  streams,
  files,
  images,
  builds,
  volumesAndNetworks,
  outward,
  swarm,
];
