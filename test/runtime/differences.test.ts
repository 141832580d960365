/**
 * The known differences of docs/compatibility.md are what they are said to be: each is run isolated and on plain runc,
 * and the outputs are stated.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hostCommand } from '../support/engines.js';
import { IsolatingEngine } from './support/isolating-engine.js';

let isolating: IsolatingEngine;
beforeAll(async () => {
  isolating = await IsolatingEngine.start({ version: '26.1' });
});
afterAll(() => isolating?.stop());

async function output(runtime: string, options: readonly string[], text: string): Promise<string> {
  const { stdout, stderr } = await isolating.engine.docker(
    ...['run', '--rm', '--runtime', runtime, '--network', 'none', ...options, 'busybox', 'sh', '-c', text],
  );
  return (stdout + stderr).trim();
}

interface Difference {
  readonly name: string;
  readonly options?: readonly string[];
  readonly text: string;
  readonly isolated: RegExp;
  /** Absent where the host's own root may lack the capability too, as in a container. */
  readonly plain?: RegExp;
}

const differences: readonly Difference[] = [
  {
    name: 'device nodes can not be made',
    text: 'mknod /n c 1 3 && echo made',
    isolated: /Operation not permitted/,
    plain: /^made$/,
  },
  {
    name: 'devices and files of the kernel belong to nobody',
    text: 'stat -c %u:%g /dev/null /proc/sys/vm/swappiness /sys/kernel | uniq',
    isolated: /^65534:65534$/,
    plain: /^0:0$/,
  },
  {
    name: 'sysctls of the whole host can not be written with --privileged',
    options: ['--privileged'],
    text: 'read -r n </proc/sys/vm/swappiness; echo $n >/proc/sys/vm/swappiness && echo written',
    isolated: /Permission denied/,
    plain: /^written$/,
  },
  {
    name: 'the score of the OOM killer can not be lowered with --privileged',
    options: ['--privileged'],
    text: 'echo -500 >/proc/self/oom_score_adj && echo lowered',
    isolated: /Permission denied/,
  },
  {
    name: 'hard limits can not be raised with --privileged',
    options: ['--privileged', '--ulimit', 'nofile=100:100'],
    text: 'ulimit -Hn 200 && echo raised',
    isolated: /Operation not permitted/,
  },
  {
    name: 'the groups that may ping are those of the container',
    text: 'cat /proc/sys/net/ipv4/ping_group_range',
    isolated: /^0\s+65535$/,
    plain: /^0\s+2147483647$/,
  },
];

test.each(differences)('$name', async ({ options = [], text, isolated, plain }) => {
  expect(await output('sysbox-runc', options, text)).toMatch(isolated);
  if (plain !== undefined) expect(await output('plain', options, text)).toMatch(plain);
});

test('a device that only root may use stays root’s', async () => {
  const device = join(isolating.engine.folder, 'device');
  await hostCommand('mknod', ['--mode=600', device, 'c', '1', '5']);
  const options = ['--device', `${device}:/dev/mine`];
  const read = 'head -c 2 /dev/mine | wc -c';
  expect(await output('sysbox-runc', options, read)).toMatch(/Permission denied/);
  expect(await output('plain', options, read)).toBe('2');
  chmodSync(device, 0o666);
  expect(await output('sysbox-runc', options, read)).toBe('2');
});

test('the host sees the ids of the range', async () => {
  const id = await isolating.docker('run', '--detach', '--network', 'none', 'busybox', 'sleep', '1000');
  const base = isolating.ledger.read(id)?.range.base;
  expect(await isolating.docker('top', id, '-o', 'pid,uid')).toMatch(new RegExp(`^\\d+\\s+${base}$`, 'm'));
});
