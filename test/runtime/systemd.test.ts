/**
 * A container with systemd as its init boots to its default target, isolated: systemd mounts, makes control groups
 * and starts services as root of nothing but its own range.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustRun } from '../../src/engine/embedded/command.js';
import { cacheFolder } from '../support/engine-releases.js';
import { IsolatingEngine } from './support/isolating-engine.js';

/** Debian with systemd, from the mirror that this machine uses; made once (a minute), and kept. */
async function debianArchive(): Promise<string> {
  const archive = join(cacheFolder, 'debian-systemd.tar');
  if (existsSync(archive)) return archive;
  const folder = join(cacheFolder, `debian-systemd-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    const root = join(folder, 'root');
    await mustRun('debootstrap', [
      '--variant=minbase',
      '--include=systemd,systemd-sysv,dbus',
      'bookworm',
      root,
    ]);
    const unneeded = ['./var/cache', './var/lib/apt', './usr/share/doc', './usr/share/locale', './dev'];
    const excluded = unneeded.map((path) => `--exclude=${path}/*`);
    await mustRun('tar', ['-C', root, '-cf', join(folder, 'root.tar'), ...excluded, '.']);
    renameSync(join(folder, 'root.tar'), archive);
    return archive;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Units that would mount the host's debugging file systems, or take its console: refused, as they should be. */
const ofTheHost = [
  'proc-sys-fs-binfmt_misc.automount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'getty@tty1.service',
];

let isolating: IsolatingEngine;
let id: string;

beforeAll(async () => {
  const archive = await debianArchive();
  isolating = await IsolatingEngine.start({ version: '26.1' });
  await isolating.docker('import', archive, 'debian');
  id = await isolating.docker(
    ...['run', '--detach', '--network', 'none', '--privileged', '--cgroupns', 'private', '--tty'],
    ...['--env', 'container=docker', '--tmpfs', '/run', '--tmpfs', '/run/lock', '--stop-signal', 'RTMIN+3'],
    ...['debian', '/sbin/init'],
  );
}, 600_000);
afterAll(() => isolating?.stop());

test('it boots to its default target; only what belongs to the host fails', async () => {
  const inside = (...argv: string[]) => isolating.engine.docker('exec', id, ...argv);
  await expect
    .poll(async () => (await inside('systemctl', 'is-system-running')).stdout.trim(), { timeout: 60_000 })
    .toMatch(/^(running|degraded)$/);
  const failed = await inside('systemctl', '--failed', '--plain', '--no-legend', '--full');
  const units = failed.stdout.split('\n').flatMap((line) => line.split(' ')[0] || []);
  expect(units.filter((unit) => !ofTheHost.includes(unit))).toEqual([]);
  const active = await inside('systemctl', 'is-active', 'graphical.target', 'dbus.socket');
  expect(active.stdout).toBe('active\nactive\n');
});

test('it starts services in control groups of their own, in the range', async () => {
  const shown = await isolating.docker(
    ...['exec', id, 'systemd-run', '--quiet', '--wait', '--pipe', '--unit', 'mine'],
    ...['sh', '-c', 'cat /proc/self/uid_map; cat /proc/self/cgroup'],
  );
  const [map = '', ...groups] = shown.split('\n');
  expect(map.trim().split(/\s+/)).toEqual(['0', String(isolating.ledger.read(id)?.range.base), '65536']);
  expect(groups.some((line) => line.endsWith('/system.slice/mine.service'))).toBe(true);
});

test('docker stop ends it in order', async () => {
  await isolating.docker('stop', '--time', '30', id);
  const state = await isolating.docker('inspect', '--format', '{{.State.ExitCode}} {{.State.Status}}', id);
  // A container's init that halts is ended by SIGINT (reboot(2), "Behavior inside PID namespaces").
  expect(state).toBe('130 exited');
});
