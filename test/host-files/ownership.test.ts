/** Who owns what after work in a bind mount: seen on the host's disk and inside later containers, with real users. */
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { mustRun } from '../../src/engine/embedded/command.js';
import { HostUser } from './host-user.js';
import { openWorld, type World } from './world.js';

let world: World;
let alice: HostUser;
let users = 62_000;
const work = (): string => join(alice.home, 'work');
const onDisk = (name: string): { uid: number; gid: number; mode: number } => statSync(join(work(), name));

function run(flags: readonly string[], script: string, user = alice): Promise<string> {
  return user.must(world.cli, 'run', '--rm', '--network', 'none', ...flags, 'busybox', 'sh', '-c', script);
}

describe.each(['26.1', '28.5'] as const)('on engine %s', (version) => {
  beforeAll(async () => {
    world = await openWorld('cofferdam', version);
  });
  afterAll(() => world?.stop());
  beforeEach(async () => {
    alice = new HostUser({ uid: ++users, groups: [63_000], homes: world.base });
    await alice.shell('mkdir work && echo mine > work/file');
  });

  describe('a container that runs as root', () => {
    test('sees the caller’s files as root’s, and what it makes is the caller’s', async () => {
      const script = 'stat -c %u:%g /w/file; echo new > /w/new; mkdir /w/folder; chmod 4755 /w/new';
      expect(await run(['-v', `${work()}:/w`], script)).toBe('0:0');
      expect(onDisk('new')).toMatchObject({ uid: alice.uid, gid: alice.gid, mode: 0o104755 });
      expect(onDisk('folder')).toMatchObject({ uid: alice.uid, gid: alice.gid });
      expect((await alice.shell('rm -r work/folder work/new')).code).toBe(0);
    });

    test('keeps other users’ ids from one container to the next, in the caller’s own range on disk', async () => {
      const bind = ['-v', `${work()}:/data`];
      await run(
        bind,
        'mkdir /data/db && chown 999:998 /data/db && su -s /bin/sh app -c "touch /data/db/page"',
      );
      const base = onDisk('db').uid - 999;
      expect(base).toBeGreaterThan(100_000);
      expect(onDisk('db')).toMatchObject({ uid: base + 999, gid: base + 998 });
      expect(onDisk('db/page')).toMatchObject({ uid: base + 999, gid: base + 999 });
      // Another container has another range, and so has one of another engine's life.
      expect(await run(bind, 'stat -c %u:%g /data/db /data/db/page')).toBe('999:998\n999:999');
      expect(await run(['--user', '999', ...bind], 'echo more >> /data/db/page && cat /data/db/page')).toBe(
        'more',
      );
    });

    test('two callers’ other users are different ones on disk', async () => {
      const bob = new HostUser({ uid: ++users, homes: world.base });
      for (const user of [alice, bob]) {
        await user.shell('mkdir -p shared-name');
        await run(['-v', `${user.home}/shared-name:/w`], 'touch /w/x && chown 999:999 /w/x', user);
      }
      const [one, other] = [alice, bob].map(({ home }) => statSync(join(home, 'shared-name/x')).uid);
      expect(one).not.toBe(other);
    });

    test('sees the files of others as nobody’s: readable where anybody may, never writable', async () => {
      const folder = join(world.base, `mixed-${alice.uid}`);
      mkdirSync(folder);
      for (const [name, mode] of [
        ['open', 0o666],
        ['readable', 0o644],
        ['closed', 0o600],
      ] as const) {
        writeFileSync(join(folder, name), 'root’s');
        chmodSync(join(folder, name), mode);
      }
      const script =
        'stat -c %u /f/readable; cat /f/readable; for f in open readable closed; do echo x >> /f/$f || rm -f /f/$f; done; cat /f/closed';
      const flags = [
        'run',
        '--rm',
        '--network',
        'none',
        '--privileged',
        '-v',
        `${folder}:/f`,
        'busybox',
        'sh',
        '-c',
      ];
      const { stdout } = await world.as(alice, ...flags, script);
      expect(stdout).toBe('65534\nroot’s');
      for (const name of ['open', 'readable', 'closed']) {
        expect(readFileSync(join(folder, name), 'utf8')).toBe('root’s');
      }
    });
  });

  describe('a container that runs as its caller', () => {
    test('--user with the caller’s number: the files are its own inside and outside', async () => {
      const flags = ['--user', `${alice.uid}:${alice.gid}`, '-v', `${work()}:/w`];
      expect(await run(flags, 'stat -c %u:%g /w/file; touch /w/new; id -u')).toBe(
        `${alice.uid}:${alice.gid}\n${alice.uid}`,
      );
      expect(onDisk('new')).toMatchObject({ uid: alice.uid, gid: alice.gid });
    });

    test('an image whose user has the caller’s number', async () => {
      const from = `as-${alice.uid}`;
      await alice.must(world.cli, 'create', '--name', from, 'busybox', 'true');
      await alice.must(world.cli, 'commit', '--change', `USER ${alice.uid}:${alice.gid}`, from, from);
      await alice.must(
        world.cli,
        'run',
        '--rm',
        '--network',
        'none',
        '-v',
        `${work()}:/w`,
        from,
        'touch',
        '/w/new',
      );
      expect(onDisk('new')).toMatchObject({ uid: alice.uid, gid: alice.gid });
    });

    test('an image whose user has the caller’s number by its own passwd file, as those of devcontainers do', async () => {
      const from = `named-${alice.uid}`;
      const line = `dev:x:${alice.uid}:${alice.gid}::/:/bin/sh`;
      await alice.must(
        world.cli,
        'create',
        '--name',
        from,
        'busybox',
        'sh',
        '-c',
        `echo ${line} >> /etc/passwd`,
      );
      await alice.must(world.cli, 'start', '--attach', from);
      await alice.must(
        world.cli,
        'commit',
        '--change',
        'USER dev',
        '--change',
        'CMD ["sleep","1000000"]',
        from,
        from,
      );
      const bind = ['-d', '--network=none', '-v', `${work()}:/w`];
      const id = await alice.must(world.cli, 'run', ...bind, from);
      const script = 'touch /w/new && stat -c %u:%g /w/file /w/new && echo more >> /w/file';
      const own = `${alice.uid}:${alice.gid}`;
      expect(await alice.must(world.cli, 'exec', id, 'sh', '-c', script)).toBe(`${own}\n${own}`);
      await alice.shell('echo parcel > parcel');
      await alice.must(world.cli, 'cp', 'parcel', `${id}:/w/parcel`);
      for (const name of ['new', 'parcel'])
        expect(onDisk(name)).toMatchObject({ uid: alice.uid, gid: alice.gid });
      await alice.must(world.cli, 'rm', '--force', id);
    });

    test('another number than the caller’s is somebody else’s', async () => {
      const refused = await world.as(
        alice,
        'run',
        '--rm',
        '--network=none',
        '-u',
        '999',
        '-v',
        `${work()}:/w`,
        'busybox',
        'touch',
        '/w/x',
      );
      expect(refused.stderr).toContain('Permission denied');
    });
  });

  describe('every kind of source', () => {
    test('a single file, read-only: not even a privileged container makes it writable again', async () => {
      const flags = ['--privileged', '-v', `${work()}/file:/f:ro`];
      const script = 'cat /f; mount -o remount,rw /f; mount -o remount,bind,rw /f; echo x > /f; true';
      expect(await run(flags, `${script} 2>/dev/null`)).toContain('mine');
      expect(readFileSync(join(work(), 'file'), 'utf8')).toBe('mine\n');
    });

    test('a socket of the caller’s own', async () => {
      const path = join(work(), 'socket');
      const server = createServer((socket) => socket.end('hello from the host\n'));
      server.listen(path);
      await once(server, 'listening');
      chownSync(path, alice.uid, alice.gid);
      try {
        expect(await run(['-v', `${path}:/s`], 'test -S /s && stat -c %u /s')).toBe('0');
      } finally {
        server.close();
      }
    });

    test('a FIFO of the caller’s own', async () => {
      await alice.shell('mkfifo work/pipe');
      const [read] = await Promise.all([
        run(['-v', `${work()}/pipe:/p`], 'stat -c %u /p; cat /p'),
        alice.shell('echo through > work/pipe'),
      ]);
      expect(read).toBe('0\nthrough');
    });

    test('a missing folder of -v is the caller’s; of --mount it is an error, as with plain Docker', async () => {
      await run(['-v', `${work()}/made/deep:/w`], 'touch /w/x');
      for (const name of ['made', 'made/deep', 'made/deep/x']) {
        expect(onDisk(name)).toMatchObject({ uid: alice.uid, gid: alice.gid });
      }
      const mount = `type=bind,src=${work()}/missing,dst=/w`;
      const { stderr } = await world.as(alice, 'run', '--rm', '--mount', mount, 'busybox', 'true');
      expect(stderr).toContain('bind source path does not exist');
      expect(existsSync(join(work(), 'missing'))).toBe(false);
    });

    test('a folder with another mount in it, and a bind inside a bind', async () => {
      mkdirSync(join(work(), 'inner'));
      await mustRun('mount', [
        '-t',
        'tmpfs',
        '-o',
        `uid=${alice.uid},gid=${alice.gid}`,
        'none',
        join(work(), 'inner'),
      ]);
      await alice.shell('mkdir other && echo inner > work/inner/file');
      const flags = ['-v', `${work()}:/w`, '-v', `${alice.home}/other:/w/over`];
      expect(await run(flags, 'cat /w/inner/file; touch /w/inner/new /w/over/new')).toBe('inner');
      expect(onDisk('inner/new').uid).toBe(alice.uid);
      expect(statSync(join(alice.home, 'other/new')).uid).toBe(alice.uid);
    });

    test('a volume that is a bind carries its user’s rights too', async () => {
      const options = ['--opt', 'type=none', '--opt', 'o=bind', '--opt', `device=${work()}`];
      const name = `bound-${alice.uid}`;
      await alice.must(world.cli, 'volume', 'create', ...options, name);
      await run(['-v', `${name}:/w`], 'cat /w/file && touch /w/new');
      expect(onDisk('new')).toMatchObject({ uid: alice.uid, gid: alice.gid });
    });

    test.each([
      [
        'ext4',
        async (place: string) => {
          await mustRun('truncate', ['--size=16M', `${place}.img`]);
          await mustRun('mkfs.ext4', ['-q', `${place}.img`]);
          await mustRun('mount', ['-o', 'loop', `${place}.img`, place]);
        },
      ],
      ['tmpfs', (place: string) => mustRun('mount', ['-t', 'tmpfs', 'none', place])],
    ])('a folder on %s', async (_, mount) => {
      const place = join(work(), 'place');
      mkdirSync(place);
      await mount(place);
      chownSync(place, alice.uid, alice.gid);
      await run(['-v', `${place}:/w`], 'touch /w/new && chown 999:999 /w/new && touch /w/own');
      expect(onDisk('place/own').uid).toBe(alice.uid);
      expect(await run(['-v', `${place}:/w`], 'stat -c %u:%g /w/new /w/own')).toBe('999:999\n0:0');
    });

    test.each([
      ['ramfs', []],
      ['overlay', ['lower', 'upper', 'work']],
    ])('a file system that can’t be id-mapped (%s): the error names it', async (type, layers) => {
      const place = join(work(), 'place');
      for (const folder of [place, ...layers.map((name) => `${place}-${name}`)]) mkdirSync(folder);
      const options = layers.map((name) => `${name}dir=${place}-${name}`);
      await mustRun('mount', ['-t', type, '-o', ['rw', ...options].join(','), 'none', place]);
      chownSync(place, alice.uid, alice.gid);
      const { code, stderr } = await world.as(alice, 'run', '--rm', '-v', `${place}:/w`, 'busybox', 'true');
      expect(code).not.toBe(0);
      expect(stderr).toContain(`${type} can't be idmapped`);
    });
  });

  describe('a container stays usable', () => {
    test('stopped, started again, after a restart of its engine, and by exec', async () => {
      const name = `lasting-${alice.uid}`;
      const flags = ['-d', '--name', name, '--stop-timeout=1', '--network=none', '-v', `${work()}:/w`];
      await alice.must(world.cli, 'run', ...flags, 'busybox', 'sleep', '1000000');
      await alice.must(world.cli, 'exec', name, 'touch', '/w/by-exec');
      await alice.must(world.cli, 'restart', '--time', '0', name);
      await alice.must(world.cli, 'exec', name, 'touch', '/w/after-restart');
      await world.engine.halt();
      await world.engine.start();
      await alice.must(world.cli, 'start', name);
      await alice.must(world.cli, 'exec', name, 'touch', '/w/after-engine');
      for (const file of ['by-exec', 'after-restart', 'after-engine'])
        expect(onDisk(file).uid).toBe(alice.uid);
      await alice.must(world.cli, 'rm', '--force', name);
    });

    test('docker cp into and out of a bind: what arrives is the caller’s', async () => {
      const name = `copied-${alice.uid}`;
      const flags = ['-d', '--name', name, '--network', 'none', '-v', `${work()}:/w`];
      await alice.must(world.cli, 'run', ...flags, 'busybox', 'sleep', '1000000');
      await alice.shell(
        'mkdir -p parcel/inner && echo content > parcel/inner/page && chmod 4755 parcel/inner/page',
      );
      await alice.must(world.cli, 'cp', 'parcel', `${name}:/w`);
      expect(onDisk('parcel/inner/page')).toMatchObject({ uid: alice.uid, gid: alice.gid });
      expect(await alice.must(world.cli, 'exec', name, 'stat', '-c', '%u', '/w/parcel/inner/page')).toBe('0');
      await alice.must(world.cli, 'cp', `${name}:/w/parcel/inner`, 'returned');
      expect(readFileSync(join(alice.home, 'returned/page'), 'utf8')).toBe('content\n');
      await alice.must(world.cli, 'rm', '--force', name);
    });

    test('a source that was exchanged since the container was made is refused at the next start', async () => {
      const name = `exchanged-${alice.uid}`;
      await alice.must(world.cli, 'create', '--name', name, '-v', `${work()}:/w`, 'busybox', 'ls', '/w');
      await alice.shell(`mv work away && ln -s ${world.base}/root-only work`);
      const { code, stderr } = await world.as(alice, 'start', '--attach', name);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/symbolic link|not the file or folder any more/);
    });
  });
});
