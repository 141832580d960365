/** Who calls: the kernel's word on the other end of the socket reaches the rules and the record. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { JudgedRequest } from '../../src/rules/rule.js';
import { answering, ok, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;

afterEach(async () => {
  await proxy.stop();
  await engine.stop();
});

/** A client in a process of its own, so that it has another identity. */
const program = `
  const [, socket, uid, gid, groups] = process.argv;
  process.setgroups(JSON.parse(groups));
  process.setgid(Number(gid));
  process.setuid(Number(uid));
  const client = require('node:net').connect(socket);
  client.write('GET /_ping HTTP/1.1\\r\\nHost: docker\\r\\nConnection: close\\r\\n\\r\\n');
  client.resume();
`;

it('uid, gid, pid and supplementary groups of the client’s process', async () => {
  engine = await startScriptedEngine(answering(ok()));
  const seen: JudgedRequest[] = [];
  proxy = await startTestProxy(engine.socket, {
    rules: [
      {
        id: 'witness',
        summary: 'Sees every request.',
        setting: 'none',
        whenIsolationIsOff: 'judges',
        routes: ['*'],
        judge: (request) => {
          seen.push(request);
          return [];
        },
      },
    ],
  });
  chmodSync(dirname(proxy.socket), 0o711);
  chmodSync(proxy.socket, 0o666);
  const groups = [1234, ...Array.from({ length: 100 }, (_, index) => 5000 + index)];
  const child = spawn(process.execPath, [
    '-e',
    program,
    proxy.socket,
    '1000',
    '1001',
    JSON.stringify(groups),
  ]);
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
  const caller = { uid: 1000, gid: 1001, pid: child.pid, groups };
  expect(seen[0]?.caller).toEqual(caller);
  await expect.poll(() => proxy.records[0]).toMatchObject({ caller });
});

it('a container’s process speaks for the user who had the container made', async () => {
  engine = await startScriptedEngine(answering(ok()));
  proxy = await startTestProxy(engine.socket, {
    callerOf: (peer) => ({ ...peer, uid: 1000, container: 'a'.repeat(64) }),
  });
  const child = spawn(process.execPath, ['-e', program, proxy.socket, '0', '0', '[]']);
  await once(child, 'exit');
  await expect
    .poll(() => proxy.records[0])
    .toMatchObject({
      caller: { uid: 1000, gid: 0, groups: [], container: 'a'.repeat(64) },
    });
});

it('the socket is closed to everybody but root and the group docker', async () => {
  engine = await startScriptedEngine(answering(ok()));
  proxy = await startTestProxy(engine.socket);
  expect(statSync(proxy.socket).mode & 0o777).toBe(0o660);
});
