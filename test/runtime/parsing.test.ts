/** What the runtime reads: command lines, mount tables, JSON with long integers, places of engines, id mappings. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCreate, verbOf } from '../../src/runtime/arguments.js';
import { engineLayout, managedSource } from '../../src/runtime/engine-layout.js';
import { parseLauncherLine, replyLine, separator } from '../../src/runtime/exchange.js';
import { callerMapping, mapText, rangeOfMap, wholeRange } from '../../src/runtime/id-mapping.js';
import { parseLossless, stringifyLossless } from '../../src/runtime/lossless-json.js';
import { overlayLayers } from '../../src/runtime/overlay.js';
import { MountTable } from '../../src/system/mount-table.js';

const id = 'c0ffee'.repeat(10);

describe('command lines', () => {
  test("as containerd's shim writes them", () => {
    const argv =
      `--root /run/docker/runtime-runc/moby --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid ${id}`.split(
        ' ',
      );
    expect(parseCreate(argv, '/')).toEqual({
      verb: 'create',
      id,
      bundle: '/b',
      log: '/b/log.json',
      logFormat: 'json',
      pidFile: '/b/init.pid',
      systemdCgroup: false,
    });
  });

  test('as BuildKit writes them, with a relative bundle and equals signs', () => {
    const parsed = parseCreate(['--log=l', '--systemd-cgroup', 'run', '-b', 'x', '--keep', 'step'], '/w');
    expect(parsed).toMatchObject({
      verb: 'run',
      id: 'step',
      bundle: '/w/x',
      log: '/w/l',
      systemdCgroup: true,
    });
  });

  test.each([
    ['an option that is not known', ['--cgroup-manager', 'systemd', 'create', id]],
    ['no id', ['create']],
    ['two ids', ['create', 'one', 'two']],
    ['an id that leads elsewhere', ['create', '..']],
    ['an id with a slash', ['create', 'a/b']],
    ['an option without its value', ['create', id, '--bundle']],
    ['another verb', ['start', id]],
  ])('refused: %s', (_, argv) => {
    expect(() => parseCreate(argv, '/')).toThrow(/^cofferdam-runtime: /);
  });

  test('questions have no verb', () => {
    expect(verbOf(['--version'])).toBeUndefined();
    expect(verbOf(['--root', 'create', 'state', id])).toBe('state');
  });
});

describe('words between launcher and daemon', () => {
  test('a request', () => {
    const fields = [`prepare 3 42 create no json ${id}`, '/b/log json', '/b c', ''];
    expect(parseLauncherLine(fields.join(separator))).toEqual({
      kind: 'prepare',
      slot: 3,
      pid: 42,
      verb: 'create',
      systemdCgroup: false,
      logFormat: 'json',
      id,
      log: '/b/log json',
      bundle: '/b c',
      pidFile: '',
    });
    expect(parseLauncherLine('done 3 42')).toEqual({ kind: 'done', slot: 3, pid: 42 });
  });

  test('the pipes of an exec', () => {
    expect(parseLauncherLine('streams 3 42 100000')).toEqual({
      ...{ kind: 'streams', slot: 3, pid: 42, base: 100_000 },
    });
    for (const line of [
      'streams 3 42',
      'streams 3 42 0',
      'streams 3 42 -1',
      'streams 32 42 1',
      'streams 3 42 x',
    ]) {
      expect(parseLauncherLine(line)).toBe(undefined);
    }
  });

  test('the end of a container', () => {
    expect(parseLauncherLine(`ended ${id}`)).toEqual({ kind: 'ended', id });
    for (const line of ['ended', 'ended ', 'ended ../up', `ended ${id} `, `ended  ${id}`, ` ended ${id}`]) {
      expect(parseLauncherLine(line)).toBe(undefined);
    }
  });

  test('anything else is none', () => {
    fc.assert(fc.property(fc.string(), (line) => parseLauncherLine(line) === undefined));
    expect(
      parseLauncherLine(`prepare 99 42 create no json ${id}${separator}${separator}/b${separator}`),
    ).toBe(undefined);
  });

  test('a reply is one short line', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 3000 }), (words) => {
        const line = replyLine(1, 'failed', words);
        expect(line.indexOf('\n')).toBe(line.length - 1);
        expect(line.length).toBeLessThanOrEqual(1001);
      }),
    );
  });
});

describe('JSON', () => {
  test('integers that a double can not hold come through', () => {
    const text =
      '{"a":18446744073709551615,"b":-9223372036854775808,"c":"12345678901234567890","d":[1.5e300,0]}';
    expect(stringifyLossless(parseLossless(text))).toBe(
      '{"a":18446744073709551615,"b":-9223372036854775808,"c":"12345678901234567890","d":[1.5e+300,0]}',
    );
  });

  test('any other value is what JSON.parse makes of it', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        fc.pre(!/\d{16}/.test(text) && !/ue0f7/i.test(text));
        expect(parseLossless(text)).toEqual(JSON.parse(text));
        expect(JSON.parse(stringifyLossless(parseLossless(text)))).toEqual(JSON.parse(text));
      }),
    );
  });

  test('its own mark is not taken from outside', () => {
    expect(() => parseLossless('["\uE0F71"]')).toThrow(SyntaxError);
    expect(() => parseLossless('["\\ue0f71"]')).toThrow(SyntaxError);
  });
});

describe('mount tables', () => {
  const line = (mountPoint: string, options: string, type = 'overlay'): string =>
    `36 35 0:32 / ${mountPoint} rw,relatime shared:1 - ${type} ${type} ${options}`;

  test('names with blanks, colons, commas and other alphabets', () => {
    const table = new MountTable(
      Buffer.from(
        `${line('/a\\040b/größe', 'rw,lowerdir=/l\\\\:1:/l\\\\,2,upperdir=/u\\040x/diff,workdir=/u\\040x/work')}\n`.replaceAll(
          '\\\\',
          '\\134',
        ),
      ).toString('latin1'),
    );
    const [entry] = table.entries;
    expect(entry?.mountPoint).toBe('/a b/größe');
    expect(entry && overlayLayers(entry)).toEqual({
      lower: ['/l:1', '/l,2'],
      upper: '/u x/diff',
      shared: [],
    });
  });

  test('options that both overlays must share, and layers named one by one', () => {
    const [entry] = new MountTable(
      line('/m', 'rw,lowerdir+=/1,lowerdir+=/2,upperdir=/u/d,workdir=/u/w,metacopy=on,volatile,index=off'),
    ).entries;
    expect(entry && overlayLayers(entry)).toEqual({
      lower: ['/1', '/2'],
      upper: '/u/d',
      shared: ['metacopy=on', 'volatile'],
    });
  });

  test('the containing mount is the innermost', () => {
    const table = new MountTable(
      [line('/', ''), line('/a', ''), line('/a/b', ''), line('/ab', '')].join('\n'),
    );
    expect(table.containing('/a/b/c')?.mountPoint).toBe('/a/b');
    expect(table.containing('/a/bc')?.mountPoint).toBe('/a');
    expect(table.below('/a').map((entry) => entry.mountPoint)).toEqual(['/a/b']);
  });

  test('hidden layers are refused', () => {
    const [entry] = new MountTable(line('/m', 'rw,upperdir=/u/d,workdir=/u/w')).entries;
    expect(() => entry && overlayLayers(entry)).toThrow('lower folders are not shown');
  });
});

describe('places of engines', () => {
  const container = engineLayout('/var/lib/docker/overlay2/0a/merged');
  const step = engineLayout('/srv/d/buildkit/executor/x1/rootfs');

  test('told from the root folder', () => {
    expect(container).toEqual({ dataRoot: '/var/lib/docker', kind: 'container' });
    expect(step).toEqual({ dataRoot: '/srv/d', kind: 'build' });
    expect(engineLayout(`/d/rootfs/overlayfs/${'ab'.repeat(32)}`).dataRoot).toBe('/d');
    for (const path of ['/', '/etc', '/overlay2/x/merged', '/d/../overlay2/x/merged', '/home/u/rootfs']) {
      expect(() => engineLayout(path)).toThrow('is no root folder');
    }
  });

  test.each([
    ['/volumes/v/_data', 'volume'],
    ['/volumes/v/_data/sub', 'volume'],
    [`/containers/${'ab'.repeat(32)}/hosts`, 'container-file'],
    [`/containers/${'ab'.repeat(32)}/mounts/secrets/x1`, 'container-file'],
    ['/tmp/safe-mount123', 'volume-subpath'],
  ])('the engine’s own: %s', (path, kind) => {
    expect(managedSource(container, container.dataRoot + path)?.kind).toBe(kind);
  });

  test.each([
    '/etc/passwd',
    '/var/lib/docker/image',
    '/var/lib/docker/volumes/v/opts.json',
    '/var/lib/docker/volumes/v/_data/../../x',
    '/var/lib/docker/volumes/_data',
    '/var/lib/docker/containers/short/hosts',
    `/var/lib/docker/containers/${'ab'.repeat(32)}/config.v2.json`,
    '/var/lib/docker/overlay2/x/diff',
    '/var/lib/dockerx/volumes/v/_data',
  ])('not the engine’s to show: %s', (path) => {
    expect(managedSource(container, path)).toBeUndefined();
  });

  test('a build step has its own places, and no volumes', () => {
    expect(managedSource(step, '/srv/d/overlay2/x/diff/sub')?.kind).toBe('build');
    expect(managedSource(step, '/srv/d/tmp/buildkit-secrets12/x')?.kind).toBe('build');
    expect(managedSource(step, '/srv/d/volumes/v/_data')).toBeUndefined();
    expect(managedSource(step, '/srv/d/tmp/other')).toBeUndefined();
  });
});

describe('id mappings', () => {
  const range = { base: 200_000, size: 65_536 };
  const subordinate = { uidBase: 3_000_000_000, gidBase: 3_100_000_000, size: 65_536 };

  test('a whole range and back', () => {
    expect(mapText(wholeRange(range).uid)).toBe('0 200000 65536\n');
    expect(rangeOfMap(wholeRange(range).uid)).toEqual(range);
    expect(rangeOfMap([{ containerId: 0, hostId: 0, size: 65_536 }])).toBeUndefined();
    expect(rangeOfMap([])).toBeUndefined();
  });

  test('the caller as root, and as a user of its own number', () => {
    const owner = { uid: 1000, gid: 1001 };
    const asRoot = callerMapping(range, { owner, user: { uid: 0, gid: 0 }, subordinate, sharedGids: [] });
    expect(mapText(asRoot.uid)).toBe('1000 200000 1\n3000000001 200001 65535\n');
    expect(mapText(asRoot.gid)).toBe('1001 200000 1\n3100000001 200001 65535\n');
    const asSelf = callerMapping(range, { owner, user: owner, subordinate, sharedGids: [50] });
    expect(mapText(asSelf.uid)).toBe('3000000000 200000 1000\n1000 201000 1\n3000001001 201001 64535\n');
    expect(mapText(asSelf.gid)).toBe(
      '3100000000 200000 50\n50 200050 1\n3100000051 200051 950\n1001 201001 1\n3100001002 201002 64534\n',
    );
  });

  test('no id is mapped twice, and only ids of the range are reached', () => {
    const someId = fc.integer({ min: 0, max: 70_000 });
    const someUser = fc.integer({ min: 0, max: 65_535 });
    fc.assert(
      fc.property(
        someId,
        someUser,
        fc.uniqueArray(someId, { maxLength: 5 }),
        (ownerId, userId, sharedGids) => {
          const mapping = callerMapping(range, {
            owner: { uid: ownerId, gid: ownerId },
            user: { uid: userId, gid: userId },
            subordinate,
            sharedGids,
          });
          for (const extents of [mapping.uid, mapping.gid]) {
            const hosts = extents.map((extent) => [extent.hostId, extent.hostId + extent.size] as const);
            const disks = extents.map(
              (extent) => [extent.containerId, extent.containerId + extent.size] as const,
            );
            for (const spans of [hosts, disks]) {
              const sorted = [...spans].sort((one, other) => one[0] - other[0]);
              for (const [index, [start]] of sorted.entries()) {
                expect(start).toBeGreaterThanOrEqual(sorted[index - 1]?.[1] ?? 0);
              }
            }
            for (const [start, end] of hosts) {
              expect(start).toBeGreaterThanOrEqual(range.base);
              expect(end).toBeLessThanOrEqual(range.base + range.size);
            }
          }
        },
      ),
    );
  });
});
