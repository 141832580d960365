import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { isAlive, processIdentity, processName } from '../../src/system/process-identity.js';

it('knows a process by its name, without what a terminal would obey, and as long as it runs', async () => {
  const child = spawn('sh', ['-c', "printf '\\033[2Jbad' > /proc/$$/comm; echo named; read -r _"]);
  await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  const identity = processIdentity(pid);
  expect(processName(pid)).toBe('?[2Jbad');
  expect(identity && isAlive(identity)).toBe(true);
  child.stdin.end();
  await once(child, 'close');
  expect(processName(pid)).toBeUndefined();
  expect(identity && isAlive(identity)).toBe(false);
});
