/**
 * The whole way of an administrator, with Debian's own systemd and engine: install beside live containers, crash,
 * hang, reboot, upgrade, remove.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostMap, parseUidMap } from '../support/uid-map.js';
import { freshHost } from './fresh-host.js';
import type { SystemdHost } from './systemd-host.js';

/** Written the way nobody's tool would: it must come back to the byte. */
const daemonJson = '{"live-restore":   true,\n\t"log-driver" : "local"}';
let host: SystemdHost;

/** What an installation may change outside of its own folders. */
async function traces() {
  return {
    units: await host.shell('cd /etc/systemd/system && find . -type f -o -type l | sort | xargs md5sum'),
    daemonJson: host.read('etc/docker/daemon.json'),
    socket: await host.shell('stat -c "%A %u %g %i" /run/docker.sock'),
    programs: await host.shell('ls /usr/bin /usr/share/man/man1 | md5sum'),
  };
}

const uidMap = async () => parseUidMap(await host.shell('docker run --rm tiny cat /proc/self/uid_map'));
const pidOf = (name: string) => host.shell(`docker inspect --format '{{.State.Pid}}' ${name}`);
const mainPid = () => host.shell('systemctl show --property=MainPID --value cofferdam');

const settings = {
  audit: { journal: true },
  enhancedContainerIsolation: { value: true, locked: true },
};

/** What is systemd's and ours alone is tried on one release only. */
const releases = [
  { suite: 'bookworm', everything: false },
  { suite: 'trixie', everything: true },
] as const;

describe.each(releases)('on Debian $suite with systemd', ({ suite, everything }) => {
  let before: Awaited<ReturnType<typeof traces>>;

  beforeAll(async () => {
    host = await freshHost(suite, daemonJson);
    before = await traces();
    await host.shell('docker run --detach --name early tiny sleep 100000');
  });
  afterAll(() => host.remove());

  it('takes the place of the socket while a container goes on', async () => {
    const pid = await pidOf('early');
    await host.shell('dpkg --install /root/release/*.deb');
    const installed = await host.run('cofferdam', 'install');
    expect(installed).toMatchObject({
      code: 0,
      text: expect.stringContaining('docker clients reach cofferdam'),
    });
    expect(await host.shell('stat -c "%A %u %g" /run/docker.sock')).toBe(
      before.socket.split(' ').slice(0, 3).join(' '),
    );
    expect(await host.shell('stat -c "%A %u %g" /run/cofferdam-engine')).toBe('drwx------ 0 0');
    expect(await pidOf('early')).toBe(pid);
    expect(await uidMap()).toMatchObject({ inside: 0, size: 65536 });
    expect(await host.shell('systemctl is-active cofferdam.socket cofferdam.service')).toBe('active\nactive');
    expect((await host.run('cofferdam', 'status')).text).toContain('early   running   its runtime is runc');
  });

  it('lacks nothing once dockerd was restarted, over which containers go on', async () => {
    const pid = await pidOf('early');
    await host.shell('systemctl restart docker.socket docker.service');
    expect(await pidOf('early')).toBe(pid);
    await host.shell('docker run --detach --name late tiny sleep 100000');
    const doctor = await host.run('cofferdam', 'doctor');
    expect(doctor.text).toMatch(/^ok +build runtime/m);
    expect(doctor.text).toMatch(/^ok +probe build: runs as ids [1-9]/m);
    expect(doctor.text).toMatch(/^ok +probe build by BuildKit: runs as ids [1-9]/m);
    expect(doctor.text).toMatch(/^ok +TCP ports of the engine: none$/m);
    expect(doctor.text).toMatch(/^ok +processes at the engine's socket: none$/m);
    expect(doctor.code).toBe(0);
  });

  if (everything) {
    it('loses no request when the daemon is killed: they wait in the socket', async () => {
      const [pid, container] = [await mainPid(), await pidOf('late')];
      await host.shell(`kill -KILL ${pid}`);
      expect(await host.shell('docker ps --quiet --filter name=late')).not.toBe('');
      expect(await mainPid()).not.toBe(pid);
      expect(await pidOf('late')).toBe(container);
    });

    it('is started anew by the watchdog when it hangs', async () => {
      await host.shell(`mkdir -p /run/systemd/system/cofferdam.service.d
      printf '[Service]\\nWatchdogSec=1\\n' > /run/systemd/system/cofferdam.service.d/soon.conf
      systemctl daemon-reload; systemctl restart cofferdam`);
      const pid = await mainPid();
      await host.shell(`kill -STOP ${pid}; docker ps --quiet`);
      expect(await mainPid()).not.toBe(pid);
      expect(await host.shell('journalctl --unit cofferdam --output cat')).toContain('Watchdog timeout');
      await host.shell('rm -r /run/systemd/system/cofferdam.service.d; systemctl daemon-reload');
    });

    it('serves nobody with wrong settings, and everybody when they are right again', async () => {
      await host.shell('mkdir -p /etc/cofferdam; echo "{" > /etc/cofferdam/admin-settings.json');
      expect((await host.run('systemctl', 'restart', 'cofferdam')).code).not.toBe(0);
      expect(await host.shell('systemctl show --property=ExecMainStatus --value cofferdam')).toBe('78');
      const refused = await host.run('docker', 'run', '--rm', 'tiny', 'cat', '/proc/self/uid_map');
      expect(refused).toMatchObject({
        code: 125,
        text: expect.stringContaining('Cannot connect to the Docker daemon'),
      });
      host.write('etc/cofferdam/admin-settings.json', JSON.stringify(settings));
      await host.shell('systemctl start cofferdam');
      expect(await uidMap()).toMatchObject({ inside: 0, size: 65536 });
    });

    it('writes the audit log into the journal as well, where the settings say so', async () => {
      const refused = await host.run('cofferdam', 'isolation', 'off');
      expect(refused.text).toContain(
        'enhancedContainerIsolation.locked in /etc/cofferdam/admin-settings.json',
      );
      await host.run('docker', 'run', '--rm', '--pid=host', 'tiny', 'cat', '/proc/1/environ');
      const entries = await host.shell(
        'journalctl --identifier cofferdam-audit --output cat AUDIT_VERDICT=denied',
      );
      expect(JSON.parse(entries.split('\n').at(-1) ?? '')).toMatchObject({
        verdict: 'denied',
        route: 'container.create',
        caller: { uid: 0, command: 'docker' },
      });
      expect((await host.run('cofferdam', 'audit', '--verify')).code).toBe(0);
    });

    it('reads its settings again when systemd says so', async () => {
      const pid = await mainPid();
      await host.shell('echo "{" > /etc/cofferdam/admin-settings.json; systemctl reload cofferdam');
      while (
        !(await host.shell('journalctl --unit cofferdam --output cat')).includes('settings not taken over')
      )
        await host.shell('sleep 0.05');
      expect(await mainPid()).toBe(pid);
      host.write('etc/cofferdam/admin-settings.json', JSON.stringify(settings));
    });

    it('is back after the power was cut', async () => {
      await host.powerOff();
      await host.boot();
      expect(await host.shell('stat -c "%A %u %g" /run/docker.sock /run/cofferdam-engine')).toBe(
        `${before.socket.split(' ').slice(0, 3).join(' ')}\ndrwx------ 0 0`,
      );
      expect(await uidMap()).toMatchObject({ inside: 0, size: 65536 });
      await host.shell('docker start late');
      expect((await host.run('cofferdam', 'doctor')).code).toBe(0);
    });
  }

  it('is upgraded under running containers', async () => {
    const [pid, container] = [await mainPid(), await pidOf('late')];
    await host.shell('dpkg --install /root/release/*.deb');
    expect(await mainPid()).not.toBe(pid);
    expect(await pidOf('late')).toBe(container);
    expect(await uidMap()).toMatchObject({ inside: 0, size: 65536 });
  });

  it('is removed to the byte: the engine is as it was, and containers go on', async () => {
    const container = await pidOf('late');
    const removed = await host.shell('dpkg --remove cofferdam');
    expect(removed).toContain('the engine serves /run/docker.sock itself again');
    expect(await pidOf('late')).toBe(container);
    const { socket, ...rest } = await traces();
    expect(rest).toEqual({ ...rest, units: before.units, daemonJson, programs: before.programs });
    expect(socket.split(' ').slice(0, 3)).toEqual(before.socket.split(' ').slice(0, 3));
    expect(await uidMap()).toEqual(hostMap);
    await host.shell('dpkg --purge cofferdam');
    await host.shell('docker rm --force late early');
    expect(await host.shell('ls -d /var/lib/cofferdam /etc/cofferdam 2>&1 || true')).toContain(
      "cannot access '/etc/cofferdam'",
    );
    expect(await host.shell('systemctl list-units --failed --plain --no-legend')).not.toMatch(
      /cofferdam|docker/,
    );
  });
});
