/**
 * Programs with file capabilities (capabilities(7)): those of an image work isolated as they do without, and those
 * that are set inside come out right in a committed image, for isolated and plain containers alike.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeBusyboxRoot } from '../support/busybox-image.js';
import { hostCommand } from '../support/engines.js';
import { IsolatingEngine } from './support/isolating-engine.js';

let isolating: IsolatingEngine;
beforeAll(async () => {
  isolating = await IsolatingEngine.start({ version: '26.1' });
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-capabilities-'));
  try {
    const root = join(folder, 'root');
    mkdirSync(root);
    await writeBusyboxRoot(root);
    for (const name of ['busybox-with', 'busybox-without'])
      copyFileSync(join(root, 'bin/busybox'), join(root, 'bin', name));
    await hostCommand('setcap', ['cap_net_raw+ep', join(root, 'bin/busybox-with')]);
    const archive = join(folder, 'root.tar');
    const attributes = ['--xattrs', '--xattrs-include=security.*'];
    await hostCommand('tar', ['-C', root, ...attributes, '-cf', archive, '.']);
    await isolating.docker('import', '--change', 'ENV PATH=/bin', archive, 'capable');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
afterAll(() => isolating?.stop());

/** The effective capabilities of a copy of busybox that an ordinary user starts. */
function effective(runtime: string, image: string, program: string): Promise<string> {
  return isolating.docker(
    ...['run', '--rm', '--runtime', runtime, '--network', 'none', '--user', '999', '--entrypoint', program],
    ...[image, 'grep', 'CapEff', '/proc/self/status'],
  );
}

const netRaw = 'CapEff:\t0000000000002000';

test.each(['sysbox-runc', 'plain'])('of an image, on %s', async (runtime) => {
  expect(await effective(runtime, 'capable', '/bin/busybox-with')).toBe(netRaw);
  expect(await effective(runtime, 'capable', '/bin/busybox-without')).toBe('CapEff:\t0000000000000000');
});

test('set inside, used there, and committed', async () => {
  const id = await isolating.docker('run', '--detach', '--network', 'none', 'capable', 'sleep', '1000');
  const pid = await isolating.docker('inspect', '--format', '{{.State.Pid}}', id);
  // setcap(8) of the host, with the rights of the container's root and on the container's own view of its files.
  const path = `/proc/${pid}/root/bin/busybox-without`;
  await hostCommand('nsenter', ['--user', '--target', pid, 'setcap', 'cap_net_raw+ep', path]);
  const read = ['exec', '--user', '999', id, '/bin/busybox-without', 'grep', 'CapEff', '/proc/self/status'];
  expect(await isolating.docker(...read)).toBe(netRaw);
  await isolating.docker('commit', id, 'committed');
  await isolating.docker('rm', '--force', id);
  for (const runtime of ['sysbox-runc', 'plain']) {
    expect(await effective(runtime, 'committed', '/bin/busybox-without')).toBe(netRaw);
    expect(await effective(runtime, 'committed', '/bin/busybox-with')).toBe(netRaw);
  }
});
