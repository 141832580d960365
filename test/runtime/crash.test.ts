/**
 * Whatever is killed at whatever step: afterwards every container starts or is removed, none runs without its
 * range, and no mount, folder, process or range is left.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sweepStages } from '../../src/runtime/staging.js';
import { mountsBelow } from '../support/left-overs.js';
import { ResultTable } from '../support/result-table.js';
import { IsolatingEngine } from './support/isolating-engine.js';

const preload = new URL('support/stop-at-step.mjs', import.meta.url).pathname;
const serveProcess = new URL('support/serve-process.mjs', import.meta.url).pathname;

/** The crash matrix: what the container was after the kill, and what became of it. */
const matrix = new ResultTable('step', 'killed', 'the container then', 'afterwards');
afterAll(() => matrix.print());
const wellAgain = 'starts, with its range; removed, nothing is left';

function stateOf(isolating: IsolatingEngine, id: string): Promise<string> {
  return isolating.docker('inspect', '--format', '{{.State.Status}}', id);
}

/** The step at which `stop-at-step.mjs` ended a process, without what differs from run to run. */
function stoppedAt(isolating: IsolatingEngine, id: string): string {
  return readFileSync(join(isolating.engine.folder, 'stopped-at'), 'utf8')
    .replaceAll(isolating.engine.folder, '')
    .replaceAll(id, 'ID')
    .replace(/[0-9a-f]{32,}/g, 'HASH')
    .replace(/\d+-\d+|(?<=\/proc\/)\d+/g, 'PID')
    .replace(/^write \d+$/, 'write');
}

/** What would be left over of containers, by kind; all empty when nothing is. */
function leftOvers(isolating: IsolatingEngine, ...ids: string[]): Record<string, unknown> {
  sweepStages(isolating.runDir);
  const dataRoot = join(isolating.engine.folder, 'data');
  const stages = join(isolating.runDir, 'runtime/mounts');
  return {
    stages: existsSync(stages) ? readdirSync(stages) : [],
    mounts: mountsBelow(isolating.runDir).filter((path) => path !== stages),
    // dockerd keeps its data-root as a mount of its own, and the folder of volumes is guarded as long as it is there.
    roots: mountsBelow(dataRoot).filter((path) => ![dataRoot, join(dataRoot, 'volumes')].includes(path)),
    processes: processesOf(ids),
    ranges: isolating.ledger.reclaim([], Date.now() + 60_000) && isolating.ledger.list(),
  };
}

const nothing = { stages: [], mounts: [], roots: [], processes: [], ranges: [] };

/** Processes in the control groups of containers. */
function processesOf(ids: readonly string[]): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
        return ids.some((id) => groups.includes(id));
      } catch {
        return false;
      }
    });
}

async function expectIsolated(isolating: IsolatingEngine, id: string): Promise<void> {
  const base = isolating.ledger.read(id)?.range.base;
  expect(base).toBeGreaterThanOrEqual(100_000);
  const map = await isolating.docker('exec', id, 'cat', '/proc/self/uid_map');
  expect(map.trim().split(/\s+/)).toEqual(['0', String(base), '65536']);
}

describe('the preparation is killed at each of its steps', () => {
  let isolating: IsolatingEngine;
  beforeAll(async () => {
    isolating = await IsolatingEngine.start({ version: '26.1' }, false, { preload });
  });
  afterAll(() => isolating?.stop());

  test('a one-shot process', async () => {
    const plan = join(isolating.engine.folder, 'stop-at');
    const id = await isolating.docker(
      ...['create', '--network', 'none', '--privileged', '--volume', 'kept:/v', 'busybox', 'sleep', '1000'],
    );
    const seen: string[][] = [];
    let step = 0;
    for (;;) {
      step += 1;
      writeFileSync(plan, String(step));
      const { code } = await isolating.engine.docker('start', id);
      const stopped = !existsSync(plan);
      rmSync(plan, { force: true });
      if (stopped) {
        expect(code).not.toBe(0);
        const then = await stateOf(isolating, id);
        // The very next attempt works, whatever was left.
        await isolating.docker('start', id);
        seen.push([stoppedAt(isolating, id), 'one-shot process', then, wellAgain]);
      }
      await expectIsolated(isolating, id);
      await isolating.docker('kill', id);
      await isolating.docker('wait', id);
      if (!stopped) break;
    }
    expect(step).toBeGreaterThan(8);
    await isolating.docker('rm', '--force', id);
    expect(leftOvers(isolating, id)).toEqual(nothing);
    for (const row of seen) matrix.add(...row);
  }, 300_000);
});

describe('the daemon is killed at each step of a preparation', () => {
  let isolating: IsolatingEngine;
  beforeAll(async () => {
    isolating = await IsolatingEngine.start({ version: '26.1' }, false);
  });
  afterAll(() => isolating?.stop());

  /** A daemon that ends at its nth step; resolves when it serves, or is dead already. */
  async function startDaemon(step: number): Promise<ChildProcess> {
    const daemon = spawn(
      process.execPath,
      ['--import', preload, serveProcess, isolating.stateDir, isolating.runDir],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, COFFERDAM_TEST_FOLDER: isolating.engine.folder },
      },
    );
    await Promise.race([once(daemon.stdout, 'data'), once(daemon, 'exit')]);
    // Steps count from here: those of its own start are not a container's.
    if (daemon.exitCode === null && step > 0) {
      writeFileSync(join(isolating.engine.folder, 'stop-at'), String(step));
    }
    return daemon;
  }

  test('the container starts all the same', async () => {
    const plan = join(isolating.engine.folder, 'stop-at');
    const id = await isolating.docker(
      ...['create', '--network', 'none', '--volume', 'kept:/v', 'busybox', 'sleep', '1000'],
    );
    const seen: string[][] = [];
    let step = 0;
    for (;;) {
      step += 1;
      const daemon = await startDaemon(step);
      await isolating.docker('start', id);
      await expectIsolated(isolating, id);
      const then = await stateOf(isolating, id);
      await isolating.docker('kill', id);
      await isolating.docker('wait', id);
      const survived = existsSync(plan);
      if (!survived) seen.push([stoppedAt(isolating, id), 'daemon', then, wellAgain]);
      rmSync(plan, { force: true });
      if (daemon.exitCode === null && daemon.signalCode === null) {
        daemon.kill('SIGKILL');
        await once(daemon, 'exit');
      }
      if (survived) break;
    }
    expect(step).toBeGreaterThan(5);
    await isolating.docker('rm', '--force', id);
    isolating.serve();
    await expect.poll(() => leftOvers(isolating, id), { timeout: 10_000 }).toEqual(nothing);
    for (const row of seen) matrix.add(...row);
  }, 300_000);
});

describe('the engine, its shim or the runtime is killed around each verb', () => {
  let isolating: IsolatingEngine;
  beforeAll(async () => {
    isolating = await IsolatingEngine.start({ version: '26.1' }, true, { killer: true });
  });
  afterAll(() => isolating?.stop());

  const verbs = ['create', 'start', 'kill', 'delete'];
  const cases = verbs.flatMap((verb) =>
    ['before', 'after'].flatMap((when) =>
      ['runtime', 'shim', 'dockerd'].map((whom) => ({ verb, when, whom })),
    ),
  );

  test.each(cases)('$whom $when $verb', async ({ verb, when, whom }) => {
    const id = await isolating.docker('create', '--network', 'none', 'busybox', 'sleep', '1000');
    const plan = join(isolating.engine.folder, 'kill-at');
    const pid = isolating.engine.pid;
    const arm = (): void => writeFileSync(plan, `${verb} ${when} ${whom} ${pid}\n`);
    if (verb === 'create' || verb === 'start') arm();
    await isolating.engine.docker('start', id);
    if (verb === 'kill' || verb === 'delete') {
      arm();
      await isolating.engine.docker('kill', id);
      await isolating.engine.docker('wait', id);
    }
    expect(existsSync(plan)).toBe(false);
    if (whom === 'dockerd') {
      await isolating.engine.kill();
      await isolating.engine.start();
    }
    const then = await stateOf(isolating, id);
    // It starts, or is running still; either way with its range.
    await expect
      .poll(async () => (await isolating.engine.docker('start', id)).code, { timeout: 20_000 })
      .toBe(0);
    await expectIsolated(isolating, id);
    await isolating.docker('rm', '--force', id);
    await expect.poll(() => leftOvers(isolating, id), { timeout: 20_000 }).toEqual(nothing);
    matrix.add(`${when} ${verb}`, whom, then, wellAgain);
  });
});

describe('the daemon', () => {
  let isolating: IsolatingEngine;
  beforeAll(async () => {
    isolating = await IsolatingEngine.start(
      { version: '26.1', configuration: { 'live-restore': true } },
      true,
    );
  });
  afterAll(() => isolating?.stop());

  test('stops and comes back: containers run on, and new ones start in between', async () => {
    const first = await isolating.docker('run', '--detach', '--network', 'none', 'busybox', 'sleep', '1000');
    isolating.stopServing();
    const second = await isolating.docker('run', '--detach', '--network', 'none', 'busybox', 'sleep', '1000');
    await expectIsolated(isolating, first);
    await expectIsolated(isolating, second);
    isolating.serve();
    await isolating.docker('restart', '--time', '0', first, second);
    await expectIsolated(isolating, first);
    await expectIsolated(isolating, second);
    await isolating.docker('rm', '--force', first, second);
    await expect.poll(() => leftOvers(isolating, first, second), { timeout: 10_000 }).toEqual(nothing);
    matrix.add('running', 'daemon (stopped)', 'running on', wellAgain);
  });

  test('live-restore: containers outlive dockerd', async () => {
    const id = await isolating.docker('run', '--detach', '--network', 'none', 'busybox', 'sleep', '1000');
    const before = await isolating.docker('inspect', '--format', '{{.State.Pid}}', id);
    await isolating.engine.kill();
    await isolating.engine.start();
    expect(await isolating.docker('inspect', '--format', '{{.State.Pid}}', id)).toBe(before);
    await expectIsolated(isolating, id);
    const then = await stateOf(isolating, id);
    await isolating.docker('rm', '--force', id);
    await expect.poll(() => leftOvers(isolating, id), { timeout: 10_000 }).toEqual(nothing);
    matrix.add('running', 'dockerd (live-restore)', then, wellAgain);
  });

  test('a reboot: the run folder is empty, the state is kept', async () => {
    const id = await isolating.docker('run', '--detach', '--network', 'none', 'busybox', 'sleep', '1000');
    const range = isolating.ledger.read(id)?.range;
    await isolating.docker('kill', id);
    isolating.stopServing();
    await isolating.engine.halt();
    rmSync(join(isolating.runDir, 'runtime'), { recursive: true, force: true });
    await isolating.engine.start();
    isolating.serve();
    const then = await stateOf(isolating, id);
    await isolating.docker('start', id);
    expect(isolating.ledger.read(id)?.range).toEqual(range);
    await expectIsolated(isolating, id);
    await isolating.docker('rm', '--force', id);
    await expect.poll(() => leftOvers(isolating, id), { timeout: 10_000 }).toEqual(nothing);
    matrix.add('running', 'everything (a reboot)', then, wellAgain);
  });
});
