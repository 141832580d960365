/**
 * What only warns, on a real engine: the request has its effect, its caller reads why it would be refused, the audit
 * log has it, and the container is as isolated as ever.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/engine/embedded/command.js';
import { openWorld, type World } from '../host-files/world.js';

const enforcing = {
  enhancedContainerIsolation: { value: true, locked: true },
  portBindingBehavior: { value: 'local-only-port-binding' },
  filesharingAllowedDirectories: [{ path: '/srv/shared' }],
};

let world: World;
let shared: string;

beforeAll(async () => {
  world = await openWorld('cofferdam', '28.5', enforcing);
  shared = mkdtempSync('/var/tmp/cofferdam-not-listed-');
});
afterAll(async () => {
  rmSync(shared, { recursive: true, force: true });
  await world?.stop();
});
beforeEach(() => settle(enforcing));

function daemon() {
  if (world.cofferdam === undefined) throw new Error('this world has no cofferdam');
  return world.cofferdam;
}

/** Has settings in force. */
async function settle(settings: object): Promise<void> {
  if (readFileSync(daemon().settingsFile, 'utf8') !== JSON.stringify(settings))
    await daemon().settle(settings);
}

const create = (...argv: string[]) => world.as(world.mallory, 'create', '--network=none', ...argv, 'busybox');
const inspect = async (id: string, format: string) =>
  (await world.asRoot('inspect', `--format=${format}`, id.trim())).stdout.trim();

async function warned(): Promise<string> {
  return (await daemon().verb('audit', '--warned', '--lines', '50')).stdout;
}

describe('addresses on which ports are published', () => {
  test('stay as the client names them, with a warning', async () => {
    const publish = ['--publish', '0.0.0.0::80', '--publish-all'];
    expect((await create(...publish)).stderr).toContain('publishing every port');
    await settle({ ...enforcing, portBindingBehavior: { value: 'local-only-port-binding', mode: 'warn' } });
    const made = await create(...publish);
    expect(made.stderr).toContain('WARNING: enhanced container isolation: publishing every port');
    expect(made.stderr).toContain('left as it is, because its mode is "warn"');
    const address = '{{(index (index .HostConfig.PortBindings "80/tcp") 0).HostIp}}';
    expect(await inspect(made.stdout, address)).toBe('0.0.0.0');
    await expect.poll(warned).toContain('port-bindings');
    expect((await daemon().verb('status')).stdout).toMatch(/only warns +portBindingBehavior\.mode/);
  });
});

describe('folders that are not listed', () => {
  test('are mounted with the caller’s own rights, made where they are missing, and nothing beyond its reach', async () => {
    const { mallory, victim } = world;
    const mount = (source: string, ...argv: string[]) =>
      world.as(mallory, 'run', '--rm', '--network=none', '-v', `${source}:/w`, 'busybox', ...argv);
    expect((await mount(`${mallory.home}/new`, 'true')).stderr).toContain('not shared from the host');
    await settle({ ...enforcing, hostFiles: { sharingMode: 'warn' } });
    const made = await mount(`${mallory.home}/new`, 'touch', '/w/file');
    expect(made).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('hostFiles.sharingMode is "warn"'),
    });
    const owner = await mallory.shell('stat --format=%u:%g new new/file');
    expect(owner.stdout.trim().split('\n')).toEqual(Array(2).fill(`${mallory.uid}:${mallory.gid}`));
    expect((await mount(`${victim.home}/diary`, 'true')).stderr).toContain("out of the caller's reach");
    expect((await mount('/etc/docker', 'true')).stderr).toContain('restricted host mount');
  });
});

describe('rules that the administrator names', () => {
  const isolation = (more: object) => ({
    ...enforcing,
    enhancedContainerIsolation: { value: true, ...more },
  });

  test('host-resources: the container is where it asks to be, and isolated', async () => {
    const parent = '/docker/cofferdam-test';
    const limits = ['--ulimit', 'rtprio=1', `--cgroup-parent=${parent}`];
    expect((await create(...limits)).stderr).toContain('2 parts of this request are refused');
    await settle(isolation({ warn: ['host-resources'] }));
    expect((await create(...limits)).stderr).toContain('the ulimit rtprio would go before');
    const run = ['run', '--detach', '--network=none', limits[2] ?? '', 'busybox', 'sleep', '600'];
    const { stdout, stderr } = await world.as(world.mallory, ...run);
    expect(stderr).toMatch(
      /WARNING: .*the cgroup parent .*enhancedContainerIsolation\.warn lists host-resou/,
    );
    const pid = await inspect(stdout, '{{.State.Pid}}');
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(`${parent}/${stdout.trim()}`);
    expect(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/)).toEqual([
      '0',
      expect.stringMatching(/^[1-9]\d{5,}$/),
      '65536',
    ]);
    await world.asRoot('rm', '--force', stdout.trim());
    const made = await runCommand('find', ['/sys/fs/cgroup', '-type', 'd', '-name', 'cofferdam-test']);
    for (const folder of made.stdout.split('\n').filter(Boolean)) rmdirSync(folder);
  });

  test('log-drivers: a daemon of the host gets the log, and a container’s namespaces stay its own', async () => {
    const address = join(shared, 'log.sock');
    const program = `const s = require("net").createServer((c) => c.pipe(process.stdout)); s.listen(${JSON.stringify(address)}, () => process.stderr.write("up"))`;
    const listener = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    listener.stdout.on('data', (bytes: Buffer) => {
      log += bytes.toString();
    });
    await once(listener.stderr, 'data');
    const options = ['--log-driver=syslog', `--log-opt=syslog-address=unix://${address}`];
    const run = (...argv: string[]) =>
      world.as(world.mallory, 'run', '--rm', '--network=none', ...options, ...argv);
    expect((await run('busybox', 'echo', 'heard')).stderr).toContain('as root');
    await settle(isolation({ warnAtRiskOfRoot: ['log-drivers'] }));
    expect(await run('busybox', 'echo', 'heard')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('warnAtRiskOfRoot lists log-drivers'),
    });
    await expect.poll(() => log).toContain('heard');
    expect((await run('--pid=host', 'busybox', 'true')).stderr).toContain('pid');
    const doctor = JSON.parse((await daemon().verb('doctor', '--json')).stdout);
    expect(doctor.checks).toContainEqual(
      expect.objectContaining({
        name: 'modes',
        outcome: 'warning',
        detail: expect.stringContaining('log-drivers'),
      }),
    );
    listener.kill();
    await once(listener, 'exit');
  });

  test('network-creation and process-lists', async () => {
    const network = ['network', 'create', '--config-only', 'template'];
    await world.as(
      world.victim,
      'run',
      '--detach',
      '--name=watched',
      '--network=none',
      'busybox',
      'sleep',
      '600',
    );
    const top = ['top', 'watched', '-eo', 'pid=PID,args=args'];
    expect((await world.as(world.mallory, ...network)).stderr).toContain('networks of this kind are refused');
    expect((await world.as(world.mallory, ...top)).stderr).toContain('could show processes of the host');
    await settle(isolation({ warnAtRiskOfRoot: ['network-creation', 'process-lists'] }));
    expect(await world.as(world.mallory, ...network)).toMatchObject({ code: 0 });
    expect(await world.as(world.mallory, ...top)).toMatchObject({ code: 0 });
    await expect.poll(warned).toMatch(/networks of this kind[\s\S]*could show processes of the host/);
  });

  test('other-callers: another’s container can be entered, and its files stay that one’s in every other', async () => {
    const { mallory, victim } = world;
    await settle({ enhancedContainerIsolation: { value: true, locked: true } });
    await victim.shell('mkdir -p diary && chmod 700 diary && echo secret > diary/page');
    const mount = ['--network=none', '-v', `${victim.home}/diary:/d`, 'busybox'];
    await victim.must(world.cli, 'run', '--detach', '--name=hers', ...mount, 'sleep', '600');
    const enter = ['exec', 'hers', 'cat', '/d/page'];
    expect((await world.as(mallory, ...enter)).stderr).toContain('host files of another user');
    await settle({
      enhancedContainerIsolation: { value: true, locked: true, warnAtRiskOfRoot: ['other-callers'] },
    });
    expect((await world.as(mallory, ...enter)).stdout).toBe('secret\n');
    expect((await world.as(mallory, 'run', '--rm', ...mount, 'cat', '/d/page')).stderr).toContain('reach');
  });
});
