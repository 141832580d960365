import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runCommand } from '../../src/engine/embedded/command.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';
import { hostMap, parseUidMap } from '../support/uid-map.js';

const replaySchema = z.object({
  changes: z.array(z.object({ now: z.string(), record: z.object({ route: z.string().optional() }) })),
});

let engine: Engine;
let cofferdam: Cofferdam;

beforeAll(async () => {
  engine = await startIsolatingEngine({ version: '26.1' });
  cofferdam = await startCofferdam({ engine });
  await importBusybox(cofferdam.cli);
});
afterAll(async () => {
  await cofferdam?.close();
  await engine?.stop();
});

async function uidMap() {
  return parseUidMap(
    await cofferdam.cli.must('run', '--rm', '--network=none', 'busybox', 'cat', '/proc/self/uid_map'),
  );
}

async function json(...argv: [string, ...string[]]) {
  const { stdout } = await cofferdam.verb(...argv, '--json');
  return JSON.parse(stdout);
}

describe('isolation off and on', () => {
  it('is switched by a user where it is not locked: the next container is a plain one', async () => {
    expect(await cofferdam.verb('isolation', 'off')).toMatchObject({ code: 0 });
    expect(await uidMap()).toEqual(hostMap);
    await cofferdam.docker(
      'run',
      '--detach',
      '--name',
      'plain',
      '--network=none',
      'busybox',
      'sleep',
      '1000',
    );
    const runtime = await cofferdam.docker('inspect', '--format={{.HostConfig.Runtime}}', 'plain');
    expect(runtime.stdout.trim()).toBe('runc');
    expect(await json('isolation')).toMatchObject({ value: false, locked: false, chosenBy: 0 });

    expect(await cofferdam.verb('isolation', 'on')).toMatchObject({ code: 0 });
    expect(await uidMap()).toMatchObject({ inside: 0, size: 65536 });
  });

  it('is kept over a restart of the daemon', async () => {
    await cofferdam.verb('isolation', 'off');
    await cofferdam.stop();
    await cofferdam.start();
    expect(await json('isolation')).toMatchObject({ value: false });
    await cofferdam.verb('isolation', 'default');
    expect(await json('isolation')).toMatchObject({ value: true });
  });

  it('is refused where the administrator locks it, naming the file', async () => {
    cofferdam.writeSettings({ enhancedContainerIsolation: { value: true, locked: true } });
    await cofferdam.logged(/enhancedContainerIsolation\.locked: false → true/);
    const { code, stderr } = await cofferdam.verb('isolation', 'off');
    expect(code).toBe(1);
    expect(stderr).toContain(`enhancedContainerIsolation.locked in ${cofferdam.settingsFile}`);
    expect(await uidMap()).toMatchObject({ inside: 0, size: 65536 });
    cofferdam.writeSettings({ enhancedContainerIsolation: { value: true, locked: false } });
    await cofferdam.logged(/enhancedContainerIsolation\.locked: true → false/);
  });
});

describe('status', () => {
  it('is ready, and names what is not isolated and why', async () => {
    await cofferdam.docker('run', '--detach', '--name', 'kept', '--network=none', 'busybox', 'sleep', '1000');
    const status = await json('status');
    expect(status).toMatchObject({
      ready: { engine: true, runtime: true, ledger: true },
      engine: { address: `unix://${engine.socket}`, embedded: false },
      settings: { path: cofferdam.settingsFile, source: 'administrator' },
    });
    expect(status.notIsolated).toEqual([
      expect.objectContaining({ name: 'plain', running: true, runtime: 'runc' }),
    ]);
    const { code, stdout } = await cofferdam.verb('status');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cofferdam +\S+, process \d+, up .+, ready$/m);
    expect(stdout).toMatch(/plain +running +its runtime is runc: it was made without isolation/);
    expect(stdout).not.toContain('kept');
  });

  it('shows settings that could not be taken over', async () => {
    cofferdam.writeSettings('{ "enhancedContainerIsolation": { "value": "fals" } }');
    await cofferdam.logged(/settings not taken over/);
    expect((await cofferdam.verb('status')).stdout).toContain(
      'enhancedContainerIsolation.value: must be true or false',
    );
    expect((await cofferdam.verb('audit', '--denied')).stdout).toMatch(
      /settings\.refused .*enhancedContainerIsolation\.value: must be true or false/,
    );
    cofferdam.writeSettings({});
  });
});

describe('ranges', () => {
  it('shows whose ids are whose', async () => {
    const { containers: list } = await json('ranges');
    expect(list).toEqual([expect.objectContaining({ name: 'kept', size: 65536, uid: 0, state: 'running' })]);
    const { stdout } = await cofferdam.verb('ranges');
    expect(stdout).toContain(`${list[0].base}-${list[0].base + 65535}`);
  });
});

describe('audit', () => {
  it('has a record for what was asked, with what was rewritten', async () => {
    const refused = await cofferdam.docker('run', '--rm', '--pid=host', 'busybox', 'true');
    expect(refused.code).not.toBe(0);
    const { id } = JSON.parse(
      (await cofferdam.docker('inspect', '--format={"id":"{{.Id}}"}', 'kept')).stdout,
    );
    // Records reach the file a moment after the answer.
    const lines = async () =>
      (await cofferdam.verb('audit', '--json', '--lines', '1000')).stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    let records = await lines();
    while (!records.some(({ verdict }) => verdict === 'denied')) records = await lines();
    expect(records).toContainEqual(
      expect.objectContaining({
        event: 'request',
        route: 'container.create',
        objects: expect.arrayContaining([id]),
        caller: expect.objectContaining({ uid: 0 }),
        verdict: 'rewritten',
        rewritten: expect.arrayContaining(['/HostConfig/Runtime']),
        status: 201,
      }),
    );
    expect(records).toContainEqual(
      expect.objectContaining({
        route: 'container.create',
        verdict: 'denied',
        status: 403,
        reason: expect.stringContaining('pid'),
      }),
    );
    expect(records.map(({ event }) => event)).toEqual(
      expect.arrayContaining([
        'daemon.started',
        'settings.changed',
        'isolation.switched',
        'isolation.refused',
      ]),
    );
  });

  it('is a whole chain, restarts included', async () => {
    const { code, stdout } = await cofferdam.verb('audit', '--verify');
    expect(stdout).toMatch(/^whole: /);
    expect(code).toBe(0);
  });
});

describe('doctor', () => {
  it('proves isolation by a real container and a real build, and leaves nothing', async () => {
    const { code, stdout } = await cofferdam.verb('doctor', '--json');
    const { healthy, checks } = JSON.parse(stdout);
    expect(checks.filter(({ outcome }: { outcome: string }) => outcome === 'bad')).toEqual([]);
    expect({ code, healthy }).toEqual({ code: 0, healthy: true });
    const found = new Map<string, { outcome: string; detail: string }>(
      checks.map((check: { name: string; outcome: string; detail: string }) => [check.name, check]),
    );
    expect(found.get('probe container')?.detail).toMatch(/uid_map 0 [1-9]\d+ 65536/);
    expect(found.get('probe build')?.detail).toMatch(/uid_map 0 [1-9]\d+ 65536/);
    expect(found.get('probe build by BuildKit')?.detail).toMatch(/uid_map 0 [1-9]\d+ 65536/);
    expect(found.get('containers')).toMatchObject({ outcome: 'warning', detail: 'not isolated: plain' });
    const left = await engine.docker('ps', '--all', '--format={{.Names}} {{.Image}}');
    expect(left.stdout).not.toContain('cofferdam-doctor');
    expect((await engine.docker('images', '--format={{.Repository}}')).stdout).not.toContain(
      'cofferdam-doctor',
    );
    const cache = await engine.docker('system', 'df', '--verbose', '--format={{json .BuildCache}}');
    expect(cache.stdout).not.toContain('cofferdam-doctor');
  });

  it('names a container that has the real socket', async () => {
    await engine.docker(
      'create',
      '--name=bypass',
      '--runtime=runc',
      `--volume=${engine.socket}:/d.sock`,
      'busybox',
    );
    const { stdout } = await cofferdam.verb('doctor');
    expect(stdout).toMatch(/warn +containers with the engine's socket: bypass \(stopped\)/);
    const status = await json('status');
    expect(status.past).toContain(`the stopped container bypass has ${engine.socket}`);
    await engine.docker('rm', 'bypass');
  });

  it('names a process that is connected to the real socket, and status does as well', async () => {
    const client = spawn('docker', ['--host', `unix://${engine.socket}`, 'events'], { stdio: 'ignore' });
    const line = `docker, process ${client.pid} of uid 0, is connected to ${engine.socket}`;
    while (!(await json('status')).past.includes(line))
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await cofferdam.verb('status')).stdout).toContain(`Reach the engine past cofferdam:\n  ${line}`);
    expect((await cofferdam.verb('doctor')).stdout).toContain(`docker (process ${client.pid}, uid 0)`);
    client.kill();
    while ((await json('status')).past.includes(line))
      await new Promise((resolve) => setTimeout(resolve, 50));
  });

  it('fails for scripts when there is no daemon', async () => {
    await cofferdam.stop();
    const { code, stdout } = await cofferdam.verb('doctor');
    expect(code).toBe(1);
    expect(stdout).toMatch(/not ok +daemon: it is not running/);
    await cofferdam.start();
  });
});

describe('learn and replay', () => {
  it('propose settings out of what was done, and try others on it', async () => {
    const lines = async () => (await cofferdam.verb('audit', '--json', '--lines', '50')).stdout;
    await cofferdam.docker('pull', 'localhost:1/nothing/here:1');
    while (!(await lines()).includes('localhost:1/nothing/here:1')) await cofferdam.docker('version');
    const learnt = await cofferdam.verb('learn');
    expect(learnt.code).toBe(0);
    expect(JSON.parse(learnt.stdout).registryAccess.registries).toContainEqual({
      address: 'localhost:1',
      repositories: ['nothing/here'],
      allow: ['pull'],
    });
    const pullsOf = async (settings: string) => {
      const draft = join(cofferdam.stateDir, 'draft.json');
      writeFileSync(draft, settings, { mode: 0o644 });
      const argv = ['bin/cofferdam', 'replay', '--json', '--settings', draft, '--state', cofferdam.stateDir];
      const { stdout } = await runCommand(process.execPath, argv);
      const { changes } = replaySchema.parse(JSON.parse(stdout));
      return changes.filter(({ record }) => record.route === 'image.pull').map(({ now }) => now);
    };
    expect(await pullsOf(learnt.stdout)).toEqual([]);
    expect(await pullsOf('{"registryAccess": {"value": true}}')).toEqual(['refused']);
  });
});

describe('folders that may be mounted', () => {
  it('are those that the settings list, as in Docker Desktop, and no others', async () => {
    const shared = mkdtempSync('/var/tmp/cofferdam-shared-');
    cofferdam.writeSettings({ filesharingAllowedDirectories: [{ path: shared, sharedByDefault: true }] });
    await cofferdam.logged(/filesharingAllowedDirectories: absent →/);
    const mount = (source: string) =>
      cofferdam.docker('run', '--rm', '--network=none', '--volume', `${source}:/x`, 'busybox', 'true');
    expect(await mount(shared)).toMatchObject({ code: 0 });
    expect((await mount('/usr')).stderr).toContain(
      'mounts denied: The path /usr is not shared from the host and is not known to Docker.',
    );
    rmSync(shared, { recursive: true });
    cofferdam.writeSettings({});
    await cofferdam.logged(/filesharingAllowedDirectories: .* → absent/);
  });
});

describe('addresses on which ports are published', () => {
  it('are those of the host itself alone, where the settings say so', async () => {
    cofferdam.writeSettings({ portBindingBehavior: { value: 'local-only-port-binding', locked: true } });
    await cofferdam.logged(/portBindingBehavior\.value: .* → .*local-only/);
    await cofferdam.docker('create', '--name', 'published', '--publish', '0.0.0.0::80', 'busybox');
    const bound = '{{(index (index .HostConfig.PortBindings "80/tcp") 0).HostIp}}';
    expect((await cofferdam.docker('inspect', '--format', bound, 'published')).stdout.trim()).toBe(
      '127.0.0.1',
    );
    expect((await cofferdam.docker('create', '--publish-all', 'busybox')).stderr).toContain(
      'portBindingBehavior',
    );
    await cofferdam.docker('rm', 'published');
    cofferdam.writeSettings({});
  });
});
