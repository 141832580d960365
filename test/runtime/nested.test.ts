/**
 * Docker in Docker without root on the host: an isolated, privileged container runs an engine of its own, with
 * overlay2 on a volume, which runs and builds containers. All of them live in the outer container's range.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { untilAnswering } from '../../src/engine/embedded/run.js';
import { DockerCli } from '../support/docker-cli.js';
import { hostCommand, importBusybox } from '../support/engines.js';
import { IsolatingEngine } from './support/isolating-engine.js';
import { importNestedEngine } from './support/nested-engine-image.js';

let isolating: IsolatingEngine;
let inner: DockerCli | undefined;
let outer: string;

const dockerd = [
  ...['dockerd', '--host', 'unix:///docker.sock', '--storage-driver', 'overlay2'],
  ...['--bridge', 'none', '--iptables=false'],
];

beforeAll(async () => {
  isolating = await IsolatingEngine.start({ version: '26.1' });
  await importNestedEngine(isolating, 'engine');
  outer = await isolating.docker(
    ...['run', '--detach', '--privileged', '--network', 'none', '--cgroupns', 'private', '--memory', '1g'],
    ...['--volume', '/var/lib/docker', 'engine', ...dockerd],
  );
  const pid = await isolating.docker('inspect', '--format', '{{.State.Pid}}', outer);
  const socket = `/proc/${pid}/root/docker.sock`;
  if ((await untilAnswering(socket, 20_000)) !== undefined) {
    const { stdout, stderr } = await isolating.engine.docker('logs', '--tail', '20', outer);
    throw new Error(`the inner engine does not answer: ${stdout}${stderr}`);
  }
  inner = await DockerCli.open(socket);
  await importBusybox(inner);
});
afterAll(async () => {
  inner?.close();
  await isolating?.stop();
});

function innerDocker(...argv: string[]): Promise<string> {
  if (inner === undefined) throw new Error('there is no inner engine');
  return inner.must(...argv);
}

const words = (text: string): string[] => text.trim().split(/\s+/);

test('it keeps its images and containers with overlay2', async () => {
  expect(await innerDocker('info', '--format', '{{.Driver}}')).toBe('overlay2');
});

test('its containers run, with limits of their own, in the range of the outer one', async () => {
  const base = isolating.ledger.read(outer)?.range.base;
  const shown = await innerDocker(
    ...['run', '--rm', '--network', 'none', '--memory', '64m', 'busybox', 'sh', '-c'],
    'cat /proc/self/uid_map; stat -c %u:%g /data/by-999; touch /root/f && stat -c %u /root/f',
  );
  const [map = '', ...rest] = shown.split('\n');
  // The namespace is the outer container's: what an inner container is root of, the outer one is.
  expect(words(map)).toEqual(['0', String(base), '65536']);
  expect(rest).toEqual(['999:999', '0']);
});

test('it builds, with BuildKit and the classic builder', async () => {
  for (const buildKit of ['1', '0']) {
    const { code, stdout, stderr } = (await inner?.run(
      ['build', '--network', 'none', '--no-cache', '--tag', `built-${buildKit}`, '-'],
      {
        input: 'FROM busybox\nRUN touch /made && chown 5:6 /made\n',
        env: { DOCKER_BUILDKIT: buildKit },
      },
    )) ?? { code: 1, stdout: '', stderr: 'there is no inner engine' };
    expect({ code, output: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, output: '' });
    const run = ['run', '--rm', '--network', 'none', `built-${buildKit}`];
    expect(await innerDocker(...run, 'stat', '-c', '%u:%g', '/made')).toBe('5:6');
  }
});

test('its root can not raise the limits of the outer container', async () => {
  const limit = '/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max';
  const raise = `for f in ${limit}; do [ -e $f ] && echo 2147483648 > $f; done; cat ${limit} 2>/dev/null`;
  const shown = await isolating.engine.docker('exec', '--privileged', outer, 'sh', '-c', raise);
  expect(shown.stdout.trim()).toBe('1073741824');
  expect(shown.stderr).toMatch(/Permission denied/);
});

test('nothing of it is left when the outer container is removed', async () => {
  const nested = await innerDocker('run', '--detach', '--network', 'none', 'busybox', 'sleep', '1000');
  const pid = await innerDocker('inspect', '--format', '{{.State.Pid}}', nested);
  expect(Number(pid)).toBeGreaterThan(0);
  await isolating.docker('rm', '--force', '--volumes', outer);
  const { stdout } = await isolating.engine.docker('ps', '--all', '--quiet');
  expect(stdout).toBe('');
  const left = await cgroupsNamed(nested);
  expect(left).toEqual([]);
});

async function cgroupsNamed(id: string): Promise<string[]> {
  const found = await hostCommand('find', ['/sys/fs/cgroup', '-type', 'd', '-name', `*${id}*`]);
  return found.split('\n').filter(Boolean);
}
