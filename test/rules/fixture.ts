/**
 * Runs a rule's fixtures: test/rules/<rule>/{allow,deny,rewrite}-*.json, each one request with the facts that the
 * engine and the host would give, and what the rule must find. Everything a fixture leaves out has the values below.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { routes } from '../../src/engine/routes.js';
import { apply, evaluate, lookUp } from '../../src/rules/evaluate.js';
import { textAt, valueAt } from '../../src/rules/json-pointer.js';
import type {
  ContainerFacts,
  Facts,
  ImageFacts,
  JudgedRequest,
  Need,
  PathFacts,
  Rule,
} from '../../src/rules/rule.js';
import { settingsSchema } from '../../src/settings/schema.js';
import { callerSchema } from '../../src/uid-allocator/record.js';

const json = z.json();
const record = z.record(z.string(), json);
const strings = z.record(z.string(), z.string());

const containerSchema = z.object({
  id: z.string().optional(),
  name: z.string().optional(),
  image: z.string().default('sha256:busybox'),
  runtime: z.string().default('sysbox-runc'),
  running: z.boolean().default(true),
  isolated: z.boolean().default(true),
  owner: callerSchema.optional(),
  socketGranted: z.boolean().default(false),
  networkMode: z.string().default('bridge'),
  pidMode: z.string().default(''),
  ipcMode: z.string().default('private'),
  utsMode: z.string().default(''),
  mounts: z
    .array(
      z.object({
        type: z.string(),
        source: z.string(),
        destination: z.string(),
        name: z.string().optional(),
        driver: z.string().optional(),
        writable: z.boolean().default(true),
        ownSocket: z.literal(true).optional(),
      }),
    )
    .default([]),
});

const pathSchema = z.object({
  real: z.string().optional(),
  device: z.string().optional(),
  inode: z.string().optional(),
  type: z.enum(['file', 'directory', 'socket', 'block', 'character', 'fifo']).optional(),
  ownerUid: z.number().optional(),
  ownerGid: z.number().optional(),
  refusedAt: z.string().optional(),
  restricted: z.string().optional(),
  unshared: z.literal(true).optional(),
  covered: z.object({ byMount: z.string(), byUnbindable: z.string().optional() }).optional(),
});

export const fixtureSchema = z.strictObject({
  title: z.string(),
  /** Where the case comes from: an advisory, a place in the engine's source. */
  source: z.string().optional(),
  route: z.string().default('container.create'),
  apiVersion: z.string().default('1.47'),
  params: strings.default({}),
  query: z.record(z.string(), z.array(z.string())).default({}),
  headers: strings.default({}),
  body: record.optional(),
  caller: callerSchema.default({ uid: 1000, gid: 1000, pid: 4711, groups: [1000, 998] }),
  settings: z.unknown().default({}),
  engine: z
    .object({
      version: z.string(),
      apiVersion: z.string(),
      cgroupVersion: z.enum(['1', '2']),
      dataRoot: z.string(),
      preparation: z
        .object({ runtime: z.boolean(), defaultRuntime: z.boolean(), builds: z.boolean() })
        .default({ runtime: true, defaultRuntime: true, builds: true }),
    })
    .default({
      version: '28.5.2',
      apiVersion: '1.51',
      cgroupVersion: '1',
      dataRoot: '/var/lib/docker',
      preparation: { runtime: true, defaultRuntime: true, builds: true },
    }),
  containers: z.record(z.string(), containerSchema).default({}),
  images: z.record(z.string(), z.record(z.string(), json)).default({}),
  volumes: z
    .record(z.string(), z.object({ driver: z.string().default('local'), options: strings.default({}) }))
    .default({}),
  networks: z.record(z.string(), z.object({ driver: z.string(), options: strings.default({}) })).default({}),
  execs: strings.default({}),
  services: z
    .record(z.string(), z.object({ id: z.string(), version: z.number(), previous: record.optional() }))
    .default({}),
  paths: z.record(z.string(), pathSchema).default({}),
  /** Verdicts about images that may mount the socket, by reference. */
  socketImages: z
    .record(
      z.string(),
      z.object({
        allowed: z.boolean(),
        entry: z.string().optional(),
        commandEntry: z.string().optional(),
        digests: z.array(z.string()).optional(),
        warning: z.string().optional(),
      }),
    )
    .default({}),
  stoppedContainers: z.array(z.string()).optional(),
  hostRoutes: z.array(z.string()).default(['127.0.0.0/8', '192.168.7.0/24']),
  inSwarm: z.boolean().default(false),
  /** Fields that must be denied, each with a part of the words the client gets. Absent: nothing is denied. */
  denied: z.record(z.string(), z.string()).default({}),
  /** Fields after the assignments: a body pointer or `query:NAME`; null for a removed one. Absent: none is assigned. */
  rewritten: record.default({}),
  /** Fields that must be warned about, each with a part of the words. */
  warned: z.record(z.string(), z.string()).default({}),
});
export type Fixture = z.infer<typeof fixtureSchema>;

/** Declares one test for each of the rule's fixtures. */
export function testRule(rule: Rule): void {
  const folder = join(import.meta.dirname, rule.id);
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  describe(`rule ${rule.id}`, () => {
    test.each(files)('%s', async (file) => {
      const fixture = fixtureSchema.parse(JSON.parse(readFileSync(join(folder, file), 'utf8')));
      await checkFixture(rule, fixture, basename(file).split('-')[0] ?? '');
    });
  });
}

async function checkFixture(rule: Rule, fixture: Fixture, outcome: string): Promise<void> {
  const request = requestOf(fixture);
  const named = rule.routes.includes('*') || rule.routes.includes(request.route.name);
  expect(named, 'the rule must name the fixture’s route').toBe(true);
  let announced: readonly Need[] = [];
  await lookUp([rule], request, async (needs) => {
    announced = needs;
    return factsOf(fixture, needs, 'unknown');
  });
  const verdict = evaluate([rule], request, factsOf(fixture, announced, 'error'));
  const said = (list: readonly { field: string; reason: string; text?: string }[]) =>
    Object.fromEntries(list.map((finding) => [finding.field, finding.text ?? finding.reason]));
  const denials = said(verdict.denials);
  expect(Object.keys(denials).sort()).toEqual(Object.keys(fixture.denied).sort());
  for (const [field, part] of Object.entries(fixture.denied)) expect(denials[field]).toContain(part);
  const warnings = said(verdict.warnings);
  expect(Object.keys(warnings).sort()).toEqual(Object.keys(fixture.warned).sort());
  for (const [field, part] of Object.entries(fixture.warned)) expect(warnings[field]).toContain(part);
  for (const finding of [...verdict.denials, ...verdict.sets, ...verdict.warnings]) {
    expect(finding.rule).toBe(rule.id);
  }
  const places = verdict.sets.map((set) => (set.kind === 'set' ? set.field : `query:${set.name}`));
  expect(places.sort()).toEqual(Object.keys(fixture.rewritten).sort());
  const sent = apply(request, verdict.sets);
  for (const [field, value] of Object.entries(fixture.rewritten)) {
    const got = field.startsWith('query:') ? sent.query.get(field.slice(6))?.[0] : valueAt(sent.body, field);
    expect(got ?? null).toEqual(value);
  }
  expect(outcome).toBe(verdict.denials.length > 0 ? 'deny' : verdict.sets.length > 0 ? 'rewrite' : 'allow');
}

/** The request that a fixture describes. */
export function requestOf(fixture: Fixture): JudgedRequest {
  const route = routes.find(({ name }) => name === fixture.route);
  if (route === undefined) throw new Error(`no such route: ${fixture.route}`);
  return {
    route,
    params: fixture.params,
    query: new Map(Object.entries(fixture.query)),
    headers: new Map(Object.entries(fixture.headers)),
    ...(fixture.body === undefined ? {} : { body: fixture.body }),
    apiVersion: fixture.apiVersion,
    caller: fixture.caller,
    engine: fixture.engine,
    settings: settingsSchema.parse(fixture.settings),
  };
}

/**
 * The facts of a fixture. One that the rule didn't announce is unknown while needs are still collected, and fails the
 * test when the rule judges.
 */
export function factsOf(fixture: Fixture, needs: readonly Need[], unannounced: 'unknown' | 'error'): Facts {
  const announced = new Set(needs.map((need) => JSON.stringify(need)));
  const known = (need: Need): boolean => {
    if (announced.has(JSON.stringify(need))) return true;
    if (unannounced === 'error') throw new Error(`not announced: ${JSON.stringify(need)}`);
    return false;
  };
  return {
    container: (ref) => {
      if (!known({ kind: 'container', ref })) return undefined;
      const found = fixture.containers[ref];
      if (found === undefined) return undefined;
      const { owner, mounts, ...rest } = found;
      const facts: ContainerFacts = {
        ...rest,
        id: found.id ?? `${ref}-full-id`,
        name: found.name ?? ref,
        mounts: mounts.map(({ name, driver, ownSocket, ...mount }) => ({
          ...mount,
          ...(name === undefined ? {} : { name }),
          ...(driver === undefined ? {} : { driver }),
          ...(ownSocket === undefined ? {} : { ownSocket }),
        })),
        ...(owner === undefined ? {} : { owner }),
      };
      return facts;
    },
    image: (ref) => {
      if (!known({ kind: 'image', ref })) return undefined;
      const found = fixture.images[ref];
      if (found === undefined) return undefined;
      const list = (key: string) => z.array(z.string()).default([]).parse(found[key]);
      const facts: ImageFacts = {
        id: textAt(found, '/id'),
        repoTags: list('repoTags'),
        repoDigests: list('repoDigests'),
        layers: list('layers'),
        env: list('env'),
        volumes: list('volumes'),
        user: textAt(found, '/user'),
        workingDirectory: textAt(found, '/workingDirectory'),
      };
      return facts;
    },
    volume: (name) => {
      if (!known({ kind: 'volume', name })) return undefined;
      const found = fixture.volumes[name];
      return found && { name, mountpoint: `/var/lib/docker/volumes/${name}/_data`, ...found };
    },
    network: (ref) => {
      if (!known({ kind: 'network', ref })) return undefined;
      const found = fixture.networks[ref];
      return found && { id: `${ref}-full-id`, name: ref, ...found };
    },
    exec: (id) => {
      if (!known({ kind: 'exec', id })) return undefined;
      const containerId = fixture.execs[id];
      return containerId === undefined ? undefined : { containerId };
    },
    service: (ref) => {
      if (!known({ kind: 'service', ref })) return undefined;
      const found = fixture.services[ref];
      if (found === undefined) return undefined;
      const { id, version, previous } = found;
      return { id, version: BigInt(version), ...(previous === undefined ? {} : { previous }) };
    },
    path: (path) => {
      if (!known({ kind: 'path', path })) return undefined;
      const found = fixture.paths[path];
      if (found === undefined) return undefined;
      const { device, inode, real, type, ownerUid, ownerGid, refusedAt, restricted, unshared, covered } =
        found;
      const facts: PathFacts = {
        ...(real === undefined ? {} : { real }),
        ...(device === undefined ? {} : { device: BigInt(device) }),
        ...(inode === undefined ? {} : { inode: BigInt(inode) }),
        ...(type === undefined ? {} : { type }),
        ...(ownerUid === undefined ? {} : { ownerUid }),
        ...(ownerGid === undefined ? {} : { ownerGid }),
        ...(refusedAt === undefined ? {} : { refusedAt }),
        ...(restricted === undefined ? {} : { restricted }),
        ...(unshared === undefined ? {} : { unshared }),
        ...(covered === undefined
          ? {}
          : {
              covered: {
                byMount: covered.byMount,
                ...(covered.byUnbindable !== undefined && { byUnbindable: covered.byUnbindable }),
              },
            }),
      };
      return facts;
    },
    socketImage: (ref) => {
      if (!known({ kind: 'socket-image', ref })) return undefined;
      const found = fixture.socketImages[ref];
      if (found === undefined) return undefined;
      const { allowed, entry, commandEntry, digests, warning } = found;
      return {
        imageId: 'sha256:judged',
        allowed,
        ...(entry === undefined ? {} : { entry }),
        ...(commandEntry === undefined ? {} : { commandEntry }),
        ...(digests === undefined ? {} : { digests }),
        ...(warning === undefined ? {} : { warning }),
        socket: { path: '/var/lib/cofferdam/sockets/docker.sock', device: '2049', inode: '99' },
      };
    },
    ...(fixture.stoppedContainers === undefined ? {} : { stoppedContainers: fixture.stoppedContainers }),
    get hostRoutes() {
      return known({ kind: 'host-routes' }) ? fixture.hostRoutes : [];
    },
    get inSwarm() {
      return known({ kind: 'swarm' }) && fixture.inSwarm;
    },
  };
}
