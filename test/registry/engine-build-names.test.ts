/**
 * What a build through buildx may not make or fetch, whether registries are restricted or not: an image of a name that
 * is trusted with the Docker socket, and a context from the host's own network.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';

const settings = {
  enhancedContainerIsolation: {
    value: true,
    dockerSocketMount: { imageList: { images: ['portainer/portainer-ce'] } },
  },
};

describe.each(['overlay2', 'containerd'] as const)('engine 28.5, %s', (store) => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  let folder: string;
  let server: Server;
  let asked = 0;

  beforeAll(async () => {
    server = createServer((_request, answer) => {
      asked += 1;
      answer.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    engine = await startIsolatingEngine({ version: '28.5', store, buildx: '0.29' });
    cofferdam = await startCofferdam({ engine, buildx: '0.29', settings });
    await importBusybox(engine.cli);
    folder = join(engine.folder, 'context');
    mkdirSync(folder);
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
  });

  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
    await new Promise((resolve) => server.close(resolve));
  });

  const build = (...argv: string[]) =>
    cofferdam.docker('buildx', 'build', '--progress=plain', '--provenance=false', ...argv);
  const names = () => engine.cli.must('images', '--format={{.Repository}}:{{.Tag}}');

  test.each(['portainer/portainer-ce', 'docker.io/portainer/portainer-ce:latest'])(
    'no name %s',
    async (name) => {
      const refused = await build('--tag', 'mine', '--tag', name, folder);
      expect(refused.stderr).toContain('trusted with the Docker socket');
      expect(await names()).not.toMatch(/portainer|mine/);
    },
  );

  test('other names, other tags and archives pass', async () => {
    const archive = join(engine.folder, 'archive.tar');
    // Without its image store the engine can't write layouts.
    const format = store === 'containerd' ? 'oci' : 'tar';
    for (const argv of [
      ['--tag', 'portainer/portainer-ce:mine'],
      ['--tag', 'portainer/portainer-ce', '--output', `type=${format},dest=${archive}`],
    ]) {
      const built = await build(...argv, folder);
      expect(built.code, built.stderr).toBe(0);
    }
    expect(await names()).toContain('portainer/portainer-ce:mine');
    expect(await names()).not.toContain('portainer/portainer-ce:latest');
  });

  test('no context of the host’s own network', async () => {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    for (const argv of [
      [`http://127.0.0.1:${port}/context.tar`],
      ['--build-context', `base=http://localhost:${port}/base.tar`, folder],
    ]) {
      const refused = await build(...argv);
      expect(refused.stderr).toContain('from the host itself or its inner network');
    }
    expect(asked).toBe(0);
  });
});
