/**
 * BuildKit's clients that speak HTTP/2 at once, as buildx does with the driver `remote`: a refusal that they show where
 * the engine serves no HTTP/2, and builds that are judged where it does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommandResult } from '../../src/engine/embedded/command.js';
import {
  type Cofferdam,
  cofferdamFolders,
  startCofferdam,
  startIsolatingEngine,
} from '../support/cofferdam.js';
import { engineFiles } from '../support/engine-releases.js';
import { type Engine, engineVersions, importBusybox } from '../support/engines.js';

const frontProgram = fileURLToPath(new URL('http2-front.mjs', import.meta.url));

/** Builds a Dockerfile with a file beside it; what it makes goes into a folder of the client's. */
async function build(
  cofferdam: Cofferdam,
  name: string,
  dockerfile: string,
  ...argv: string[]
): Promise<CommandResult> {
  const folder = join(cofferdam.engine.folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
  writeFileSync(join(folder, 'sent'), 'by the client\n');
  const output = `type=local,dest=${join(folder, 'made')}`;
  return cofferdam.docker('buildx', 'build', '--builder', 'remote', '--output', output, ...argv, folder);
}

const made = (cofferdam: Cofferdam, name: string, file: string): string =>
  readFileSync(join(cofferdam.engine.folder, name, 'made', file), 'utf8');

async function addBuilder({ cli, socket }: Cofferdam): Promise<void> {
  await cli.must('buildx', 'create', '--name', 'remote', '--driver', 'remote', `unix://${socket}`);
}

describe.each(engineVersions)('engine %s', (version) => {
  let engine: Engine;
  let cofferdam: Cofferdam;

  beforeAll(async () => {
    engine = await startIsolatingEngine({ version });
    cofferdam = await startCofferdam({ engine });
    await addBuilder(cofferdam);
  });

  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
  });

  it('serves no HTTP/2 on its socket, and buildx says so', async () => {
    const { code, stderr } = await build(cofferdam, 'refused', 'FROM scratch\nCOPY sent /sent\n');
    expect(code).toBe(1);
    expect(stderr).toContain('cofferdam: this Docker Engine does not serve HTTP/2 without an upgrade');
  });
});

describe('an engine that serves HTTP/2 on its socket', () => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  let front: ChildProcess;

  beforeAll(async () => {
    engine = await startIsolatingEngine({ version: '28.5' });
    const socket = join(engine.folder, 'front.sock');
    const { bin } = await engineFiles('28.5');
    front = spawn(process.execPath, [frontProgram, socket, engine.socket], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: {
        PATH: `${bin}:${process.env['PATH']}`,
        DOCKER_BUILDKIT_RUNC_COMMAND: join(cofferdamFolders(engine.folder).buildkit, 'runc'),
      },
    });
    await once(front, 'message');
    cofferdam = await startCofferdam({ engine: { folder: engine.folder, socket } });
    await importBusybox(cofferdam.cli);
    await addBuilder(cofferdam);
  });

  afterAll(async () => {
    await cofferdam?.close();
    front?.kill();
    await engine?.stop();
  });

  it('builds for its clients, with files of theirs, and isolated', async () => {
    const result = await build(
      cofferdam,
      'allowed',
      'FROM busybox\nCOPY sent /sent\nRUN --network=none cat /proc/self/uid_map > /map\n',
    );
    expect(result).toMatchObject({ code: 0 });
    expect(made(cofferdam, 'allowed', 'sent')).toBe('by the client\n');
    expect(made(cofferdam, 'allowed', 'map')).toMatch(/^ +0 +[1-9]\d* +65536\n$/);
  });

  it('refuses what the rules refuse, and the registries that are not listed', async () => {
    const host = await build(cofferdam, 'host', 'FROM busybox\n', '--allow', 'network.host');
    expect(host.code).toBe(1);
    expect(host.stderr).toContain('enhanced container isolation');
    cofferdam.writeSettings({
      configurationFileVersion: 2,
      enhancedContainerIsolation: { value: true },
      registryAccess: { value: true, registries: [{ address: 'listed.example' }] },
    });
    await expect
      .poll(async () => (await build(cofferdam, `list-${Date.now()}`, 'FROM evil.example/x\n')).stderr, {
        timeout: 30_000,
      })
      .toContain('registry access');
  });

  it('serves the API over HTTP/1.1 as ever', async () => {
    expect(await cofferdam.cli.must('images', '--format', '{{.Repository}}')).toContain('busybox');
  });
});
