/**
 * Images with as many layers as engines take, and with many files: every layer is cloned and idmapped, nothing is
 * copied or chowned, and all options of the second overlay fit into the page that mount(2) takes.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mustRun } from '../../src/engine/embedded/command.js';
import { writeBusyboxRoot } from '../support/busybox-image.js';
import type { EngineOptions } from '../support/engines.js';
import { IsolatingEngine } from './support/isolating-engine.js';

const targets: readonly Pick<EngineOptions, 'version' | 'store'>[] = [
  { version: '26.1', store: 'overlay2' },
  { version: '28.5', store: 'containerd' },
];

/** Writes an archive for `docker load`: busybox below, and layers with a file each above. */
async function writeImage(folder: string, name: string, layers: number): Promise<string> {
  const image = join(folder, name);
  const root = join(folder, `${name}-root`);
  for (const path of [image, root]) mkdirSync(path, { recursive: true });
  await writeBusyboxRoot(root);
  await mustRun('tar', ['-C', root, '-cf', join(image, '0.tar'), '.']);
  const top = join(folder, `${name}-top`);
  mkdirSync(join(top, 'layers'), { recursive: true });
  for (let layer = 1; layer < layers; layer += 1) {
    writeFileSync(join(top, 'layers', String(layer)), `${layer}\n`);
    writeFileSync(join(top, 'layers/last'), `${layer}\n`);
    const owner = ['--owner=999', '--group=999', '--numeric-owner'];
    await mustRun('tar', [
      ...['-C', top, ...owner, '-cf', join(image, `${layer}.tar`)],
      ...[`layers/${layer}`, 'layers/last'],
    ]);
  }
  const files = Array.from({ length: layers }, (_, layer) => `${layer}.tar`);
  const digests = files.map(
    (file) =>
      `sha256:${createHash('sha256')
        .update(readFileSync(join(image, file)))
        .digest('hex')}`,
  );
  const config = {
    ...{ architecture: process.arch === 'arm64' ? 'arm64' : 'amd64', os: 'linux' },
    config: { Env: ['PATH=/bin'], Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: digests },
  };
  writeFileSync(join(image, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: [`${name}:latest`], Layers: files }];
  writeFileSync(join(image, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(folder, `${name}.tar`);
  await mustRun('tar', ['-C', image, '-cf', archive, ...files, 'config.json', 'manifest.json']);
  return archive;
}

describe.each(targets)('engine $version with $store', (options) => {
  let isolating: IsolatingEngine;
  let folder: string;
  beforeAll(async () => {
    isolating = await IsolatingEngine.start(options);
    folder = mkdtempSync(join(tmpdir(), 'cofferdam-layers-'));
  });
  afterAll(async () => {
    await isolating?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  test.each([40, 120])('an image of %i layers', async (layers) => {
    await isolating.docker('load', '--input', await writeImage(folder, `layers-${layers}`, layers));
    const look =
      "ls /layers | wc -l; cat /layers/last; stat -c '%u:%g' /layers/1 /layers/last; touch /layers/new";
    const shown = await isolating.docker(
      ...['run', '--rm', '--network', 'none', `layers-${layers}`, 'sh', '-c', look],
    );
    expect(shown.split('\n')).toEqual([String(layers), String(layers - 1), '999:999', '999:999']);
  });
});
