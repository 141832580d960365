/** Programs that are started without a fork of this process. */
import { once } from 'node:events';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { expect, test } from 'vitest';
import { leanSpawn, reap } from '../../src/system/lean-spawn.js';
import { processIdentity } from '../../src/system/process-identity.js';

const shell = (script: string) => leanSpawn('/bin/sh', ['sh', '-c', script], { WORD: 'of the environment' });

async function output({ socket }: ReturnType<typeof shell>): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(socket, 'close');
  return text;
}

test('one socket is its input, output and error', async () => {
  const child = shell('read line; echo "$line $WORD"; echo complaint >&2');
  child.socket.write('a line\n');
  expect(await output(child)).toBe('a line of the environment\ncomplaint\n');
  reap(child.pid);
});

test('it is this process’s child, and gone once it is reaped', async () => {
  const child = shell('read line');
  expect(readFileSync(`/proc/${child.pid}/status`, 'utf8')).toContain(`PPid:\t${process.pid}\n`);
  expect(realpathSync(`/proc/${child.pid}/exe`)).toBe(realpathSync('/bin/sh'));
  process.kill(child.pid, 'SIGKILL');
  await output(child);
  reap(child.pid);
  expect(processIdentity(child.pid)).toBeUndefined();
});

test('it sees the end of this process’s side', async () => {
  const child = shell('read line || echo nothing more');
  child.socket.end();
  expect(await output(child)).toBe('nothing more\n');
  reap(child.pid);
});

test('what can not be started is an error, and leaves no descriptor', () => {
  const open = readdirSync('/proc/self/fd').length;
  expect(() => leanSpawn('/no/such/program', ['program'], {})).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
  expect(() => leanSpawn('/bin/sh', ['sh', '-c', 'true\0false'], {})).toThrow(
    expect.objectContaining({ code: 'EINVAL' }),
  );
  expect(readdirSync('/proc/self/fd')).toHaveLength(open);
});
