/**
 * The pipes of `docker exec` belong to the container's root before the backend starts, so that its programs can open
 * /dev/stdout by name: by a word with the daemon where one runs, else by `chown`. Anything else is left alone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { mustRun } from '../../src/engine/embedded/command.js';
import { writeLauncher } from '../../src/runtime/launcher.js';
import { serveRuntime } from '../../src/runtime/serve.js';
import { runtimeFolder } from '../../src/runtime/staging.js';
import { makeFifo } from '../../src/system/fifo.js';
import { openLedger } from '../../src/uid-allocator/ledger.js';

const base = 427_680;
let folder: string;
let launcher: string;
let isolated: ChildProcess;

function program(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-exec-'));
  // The run folder must be searchable by containers' users.
  chmodSync(folder, 0o711);
  for (const name of ['bin', 'bundle', 'plain', 'run']) mkdirSync(join(folder, name), { mode: 0o711 });
  program('bin/chown', `touch ${folder}/chown-was-started; exec /bin/chown "$@"`);
  launcher = writeLauncher({
    stateDir: folder,
    runDir: join(folder, 'run'),
    node: '/bin/false',
    backendBinary: program('backend', 'stat -L -c %u:%g /proc/$$/fd/1'),
  });
  isolated = spawn('unshare', ['--user', 'sh', '-c', 'echo; read _'], { stdio: ['pipe', 'pipe', 'ignore'] });
  if (isolated.stdout !== null) await once(isolated.stdout, 'data');
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${isolated.pid}/${map}`, `0 ${base} 65536`);
  writeFileSync(join(folder, 'bundle/init.pid'), String(isolated.pid));
  // A container that isn't isolated: the map of its first process is the host's.
  writeFileSync(join(folder, 'plain/init.pid'), String(process.pid));
});
afterAll(() => {
  isolated?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => rmSync(join(folder, 'run/runtime/daemon'), { force: true }));

/** Who has the pipe when the backend runs, and whether a process was started for it. */
async function execIn(bundle: string): Promise<{ owner: string; chown: boolean }> {
  rmSync(join(folder, 'chown-was-started'), { force: true });
  const command = `PATH=${folder}/bin:$PATH ${launcher} --log /l exec --process /p ${'a'.repeat(64)} | cat`;
  const owner = await mustRun('sh', ['-c', `cd ${folder}/${bundle} && ${command}`]);
  return { owner: owner.trim(), chown: existsSync(join(folder, 'chown-was-started')) };
}

test('with a daemon, no process is started for it', async () => {
  const problems: unknown[] = [];
  const server = serveRuntime({
    runDir: join(folder, 'run'),
    ledger: openLedger(folder),
    log: { info: () => undefined, error: (...problem) => void problems.push(problem) },
  });
  try {
    // More than there are slots: each is free again afterwards.
    for (let count = 0; count < 40; count += 1) {
      expect(await execIn('bundle')).toEqual({ owner: `${base}:${base}`, chown: false });
    }
    expect(await execIn('plain')).toEqual({ owner: '0:0', chown: false });
    expect(problems).toEqual([]);
  } finally {
    server.close();
  }
});

test('without a daemon', async () => {
  expect(await execIn('bundle')).toEqual({ owner: `${base}:${base}`, chown: true });
  expect(await execIn('plain')).toEqual({ owner: '0:0', chown: false });
});

test('with a daemon that was killed', async () => {
  const dead = join(folder, 'dead');
  mkdirSync(dead);
  mkdirSync(runtimeFolder(join(folder, 'run')), { recursive: true });
  for (const name of ['requests', ...Array.from({ length: 32 }, (_, slot) => `reply-${slot}`)]) {
    makeFifo(join(dead, name));
  }
  writeFileSync(join(runtimeFolder(join(folder, 'run')), 'daemon'), `${dead}\n`);
  expect(await execIn('bundle')).toEqual({ owner: `${base}:${base}`, chown: true });
});
