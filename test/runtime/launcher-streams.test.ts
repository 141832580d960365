/**
 * The daemon hands the pipes behind a container's /dev/stdout over to its root by looking at the launcher's
 * descriptors. It looks whenever it comes to it, so they must be in their places from before the request is written.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launcherStreams } from '../../src/runtime/exchange.js';
import { writeLauncher } from '../../src/runtime/launcher.js';
import { runtimeFolder } from '../../src/runtime/staging.js';
import { makeFifo } from '../../src/system/fifo.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-launcher-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Fills a pipe, so that the next one who writes to it stays in its write. */
function fill(descriptor: number): void {
  for (const size of [4096, 1]) {
    try {
      for (;;) writeSync(descriptor, Buffer.alloc(size, 'x'));
    } catch (problem) {
      expect(problem).toMatchObject({ code: 'EAGAIN' });
    }
  }
}

test('a launcher whose request is being written has its streams where the daemon looks', async () => {
  const runDir = join(folder, 'run');
  const daemon = join(folder, 'daemon');
  for (const path of [runtimeFolder(runDir), daemon]) mkdirSync(path, { recursive: true });
  writeFileSync(join(runtimeFolder(runDir), 'daemon'), `${daemon}\n`);
  for (const name of ['requests', ...Array.from({ length: 32 }, (_, slot) => `reply-${slot}`)]) {
    makeFifo(join(daemon, name));
  }
  const requests = openSync(join(daemon, 'requests'), constants.O_RDWR | constants.O_NONBLOCK);
  fill(requests);
  const launcher = writeLauncher({
    stateDir: folder,
    runDir,
    node: '/bin/false',
    backendBinary: '/bin/false',
  });

  const streams = ['in', 'out', 'err'].map((name) => join(folder, name));
  const stdio = streams.map((path) => openSync(path, 'w+'));
  const child = spawn(launcher, ['create', '--bundle', folder, 'a'.repeat(64)], { stdio, cwd: folder });
  try {
    // It writes its request with standard output turned into the daemon's pipe, and stays there.
    await expect
      .poll(() => readlinkSync(`/proc/${child.pid}/fd/1`), { timeout: 10_000 })
      .toBe(join(daemon, 'requests'));
    const found = launcherStreams.map((descriptor) => `/proc/${child.pid}/fd/${descriptor}`);
    expect(found.map((path) => (existsSync(path) ? readlinkSync(path) : 'closed'))).toEqual(streams);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (const descriptor of [requests, ...stdio]) closeSync(descriptor);
  }
});
