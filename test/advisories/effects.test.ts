/**
 * Published advisories and known escapes whose proof is what happens inside a container: played on a real engine by a
 * caller without rights, with root in the container.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Sender } from '../attacks/sender.js';
import { caller, Stage } from '../attacks/stage.js';
import { tarArchive } from '../attacks/tar.js';
import { type EngineVersion, engineVersions } from '../support/engines.js';

const version: EngineVersion = engineVersions.at(-1) ?? '28.5';
let stage: Stage;
let home: string;

beforeAll(async () => {
  stage = await Stage.open(version);
  home = stage.names['home'] ?? '';
});
afterAll(async () => {
  await stage?.close();
});

const offline = ['run', '--rm', '--network', 'none'] as const;

/** Runs a script as root of a new container; what it said. */
async function inside(script: string, ...options: string[]): Promise<string> {
  const { stdout, stderr } = await stage.docker(...offline, ...options, 'alpine', 'sh', '-c', script);
  return stdout + stderr;
}

describe('files of the host', () => {
  test('A-37: a setuid file that container root leaves on a bind is the caller’s own', async () => {
    await inside(
      'cp /bin/busybox /w/drop && chown 0:0 /w/drop && chmod 4755 /w/drop',
      '-v',
      `${home}/work:/w`,
    );
    const { uid, gid, mode } = statSync(join(home, 'work/drop'));
    expect([uid, gid, mode & 0o7777]).toEqual([caller.uid, caller.gid, 0o4755]);
  });

  test('what only root may read stays unreadable, also for root of the container', async () => {
    const said = await inside(
      'cat /s; echo changed > /s; id -u',
      '-v',
      `${stage.names['shared']}/secret:/s`,
      '--privileged',
    );
    expect(said).toContain('Permission denied');
    expect(said).not.toContain('only root reads this');
  });

  test('opa-docker-authz #34, moby#36020: a folder exchanged for a link between check and start', async () => {
    mkdirSync(join(home, 'bait'));
    await stage.must(
      'create',
      '--name',
      'race',
      '--network',
      'none',
      '-v',
      `${home}/bait:/x`,
      'alpine',
      'ls',
      '/x',
    );
    renameSync(join(home, 'bait'), join(home, 'kept'));
    symlinkSync(join(stage.folder, 'root'), join(home, 'bait'));
    const { code, stdout } = await stage.docker('start', '-a', 'race');
    expect(code).not.toBe(0);
    expect(stdout).not.toContain('secret');
    await stage.must('rm', 'race');
  });

  test('moby mounts.Setup: a source that is gone at the start is not made anew by root', async () => {
    const place = join(home, 'place');
    mkdirSync(join(place, 'planted'), { recursive: true });
    await stage.must(
      'create',
      '--name=gone',
      '--network=none',
      '-v',
      `${place}/planted:/x`,
      'alpine',
      'true',
    );
    renameSync(place, `${place}-kept`);
    expect((await stage.docker('start', 'gone')).stderr).toContain('is not there');
    symlinkSync(join(stage.folder, 'root'), place);
    expect((await stage.docker('restart', 'gone')).stderr).toContain('is not there for the caller');
    expect(existsSync(join(stage.folder, 'root/planted'))).toBe(false);
    rmSync(place);
    expect(existsSync(place)).toBe(false);
    renameSync(`${place}-kept`, place);
    await stage.must('start', 'gone');
    await stage.must('rm', '-f', 'gone');
  });

  test('A-10: a link of one’s own to a socket folder is that folder', async () => {
    const { code, stderr } = await stage.docker(...offline, '-v', `${home}/link:/x`, 'alpine', 'ls', '/x');
    expect(code).not.toBe(0);
    expect(stderr).toContain('restricted host mount');
  });

  test('A-34, A-36: a read-only bind stays read-only, by any mount call, also in a nested namespace', async () => {
    writeFileSync(join(home, 'work/precious'), 'as it was\n');
    const attempts = [
      'mount -o remount,rw /w',
      'mount -o remount,bind,rw /w',
      'mkdir /m; mount --bind /w /m; mount -o remount,bind,rw /m',
    ];
    const script = [
      ...attempts.map((attempt) => `(${attempt}) 2>/dev/null`),
      ...attempts.map((attempt) => `unshare -Urm sh -c '${attempt}' 2>/dev/null`),
      'echo changed > /w/precious; echo changed > /m/precious; cat /w/precious',
    ].join('; ');
    const said = await inside(script, '-v', `${home}/work:/w:ro`, '--privileged');
    expect(said).toContain('as it was');
    expect(said).not.toMatch(/^changed$/m);
  });

  test('volume copy-up: the content of an image is not written into a host folder', async () => {
    mkdirSync(join(home, 'empty'));
    chmodSync(join(home, 'empty'), 0o777);
    await stage.must(
      'volume',
      'create',
      '-o',
      'type=none',
      '-o',
      'o=bind',
      '-o',
      `device=${home}/empty`,
      'copyup',
    );
    await inside('true', '-v', 'copyup:/bin2');
    await stage.docker(...offline, '-v', 'copyup:/bin', 'alpine', 'true');
    expect(readdirSync(join(home, 'empty'))).toEqual([]);
    await stage.must('volume', 'rm', 'copyup');
  });

  test('volume copy-up: a volume that becomes a host folder while a container is made with it', async () => {
    const other = new Sender(caller.uid, caller.gid, stage.names['shared'] ?? '');
    await other.ready();
    try {
      const folders = Array.from({ length: 12 }, (_, round) => join(home, `becomes-${round}`));
      for (const [round, folder] of folders.entries()) {
        mkdirSync(folder);
        chmodSync(folder, 0o777);
        const name = `becomes-${round}`;
        const HostConfig = { NetworkMode: 'none', Binds: [`${name}:/bin`] };
        const create = stage.send({ path: '/containers/create', body: { Image: 'alpine', HostConfig } });
        await new Promise((resolve) => setTimeout(resolve, round));
        const DriverOpts = { type: 'none', o: 'bind', device: folder };
        await stage.send({ path: '/volumes/create', body: { Name: name, DriverOpts } }, other);
        expect((await create).status).toBe(201);
      }
      expect(folders.flatMap((folder) => readdirSync(folder))).toEqual([]);
    } finally {
      other.close();
    }
  });
});

describe('the kernel and other containers', () => {
  test('--privileged reaches nothing of the host', async () => {
    const said = await inside(
      'echo 1 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger; mknod /d b 8 0 && cat /d; modprobe dummy; mount -t securityfs none /sys/kernel/security; cat /proc/self/uid_map',
      '--privileged',
    );
    expect(said).toMatch(/0\s+[1-9]\d{5,}\s+65536/);
    expect(said.match(/denied|not permitted|Read-only|can't|No such/gi)?.length ?? 0).toBeGreaterThanOrEqual(
      3,
    );
  });

  test('CVE-2025-31133, CVE-2025-52881: masked paths and /proc stay what they are', async () => {
    const said = await inside(
      'head -c 1 /proc/kcore | wc -c; echo x > /proc/sys/kernel/core_pattern; cat /proc/sys/kernel/core_pattern',
    );
    expect(said).not.toMatch(/^x$/m);
  });

  test('A-25: entering, joining or inheriting from containers that are not isolated', async () => {
    for (const options of [
      ['--pid=container:monitor'],
      ['--network=container:legacy_runc'],
      ['--volumes-from=legacy_runc'],
    ]) {
      const { code, stderr } = await stage.docker('run', '--rm', ...options, 'alpine', 'true');
      expect(code).toBe(125);
      expect(stderr).toContain("isn't isolated");
    }
  });

  test('A-33: switches in the environment change nothing', async () => {
    for (const name of ['SYSBOX_SKIP_UID_SHIFT=/w', 'SYSBOX_HONOR_CAPS=TRUE']) {
      expect(await inside('true', '-e', name)).toContain('switch of the runtime');
    }
    expect((await stage.docker(...offline, 'switches', 'true')).stderr).toContain('switch of the runtime');
  });

  test('Docker Desktop 4.68: containers made at once all start, each with a range of its own', async () => {
    const maps = await Promise.all(Array.from({ length: 8 }, () => inside('cat /proc/self/uid_map')));
    const bases = maps.map((map) => /^\s*0\s+(\d+)\s+65536/m.exec(map)?.[1]);
    expect(new Set(bases).size).toBe(8);
    expect(bases).not.toContain(undefined);
  });

  test('CVE-2025-9074: no engine listens where a container could reach it', async () => {
    const gateway = await stage.must(
      'network',
      'inspect',
      '--format={{(index .IPAM.Config 0).Gateway}}',
      'proj_default',
    );
    const { stdout } = await stage.docker(
      ...['run', '--rm', '--network', 'proj_default', 'alpine', 'sh', '-c'],
      `for port in 2375 2376 2377; do nc -w 1 ${gateway} $port < /dev/null && echo open $port; done`,
    );
    expect(stdout).not.toContain('open');
  });
});

describe('files on their way in and out', () => {
  test('CVE-2026-41567: no program of an image unpacks what is copied in', async () => {
    const trap = 'printf "#!/bin/sh\\ntouch /ran; cat" > $file; chmod 755 $file';
    const places = 'for file in /bin/xz /bin/unpigz /usr/bin/xz /usr/bin/unpigz';
    const script = `mkdir -p /usr/bin; ${places}; do rm -f $file; ${trap}; done`;
    await stage.must('run', '--name=trap', '--network=none', 'alpine', 'sh', '-c', script);
    const letter = { name: 'letter', type: '0', mode: '0644', uid: 0, link: '', text: 'hello' } as const;
    const archive = tarArchive([letter]);
    const packed = [gzipSync(archive), execFileSync('xz', ['--stdout'], { input: archive })];
    for (const [index, body] of packed.entries()) {
      const path = `/containers/trap/archive?path=/srv${index}`;
      await stage.must('cp', `${home}/dir`, `trap:/srv${index}`);
      const headers = { 'Content-Type': 'application/x-tar' };
      const { status, text } = await stage.send({ method: 'PUT', path, body, headers });
      expect(status, text).toBe(200);
      expect(await stage.must('cp', `trap:/srv${index}/letter`, '-')).toContain('hello');
    }
    expect((await stage.docker('cp', 'trap:/ran', '-')).stderr).toContain('Could not find the file');
    await stage.must('rm', 'trap');
  });

  test('CVE-2026-17106: links in an archive lead nowhere outside of the container', async () => {
    const folder = join(home, 'archive');
    mkdirSync(folder);
    symlinkSync('/../../../../../../../../tmp', join(folder, 'out'));
    await stage.must('cp', folder, 'own1:/tmp/archive');
    await stage.must('exec', 'own1', 'sh', '-c', 'echo inside > /tmp/planted');
    await stage.docker('cp', 'own1:/tmp/archive/out/planted', join(home, 'taken'));
    expect(existsSync('/tmp/planted')).toBe(false);
    rmSync(folder, { recursive: true });
  });

  test('Docker Desktop 4.77: what docker cp brings into a container belongs to its own users', async () => {
    writeFileSync(join(home, 'letter'), 'hello\n');
    await stage.must('cp', join(home, 'letter'), 'own1:/tmp/letter');
    const owner = await stage.must('exec', 'own1', 'stat', '-c', '%u:%g', '/tmp/letter');
    expect(owner).not.toContain('65534');
    expect(await stage.must('exec', 'own1', 'cat', '/tmp/letter')).toBe('hello');
  });
});
