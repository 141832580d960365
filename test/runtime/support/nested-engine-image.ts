/**
 * An image with a Docker Engine in it, made of the engine that the tests run on: its programs keep the paths that
 * they were unpacked to, because their libraries are found by them.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mustRun } from '../../../src/engine/embedded/command.js';
import { writeBusyboxRoot } from '../../support/busybox-image.js';
import { engineFiles } from '../../support/engine-releases.js';
import type { IsolatingEngine } from './isolating-engine.js';

const programs = ['dockerd', 'containerd', 'containerd-shim-runc-v2', 'runc', 'docker-init', 'docker-proxy'];

/** Makes the image `name` from busybox and the programs of engine 26.1; dockerd is in its PATH. */
export async function importNestedEngine(isolating: IsolatingEngine, name: string): Promise<void> {
  const { bin } = await engineFiles('26.1');
  const files = new Set<string>();
  for (const program of programs) {
    const path = realpathSync(join(bin, program));
    files.add(join(bin, program)).add(path);
    for (const library of await librariesOf(path)) files.add(library).add(realpathSync(library));
  }
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-nested-'));
  try {
    const root = join(folder, 'root');
    mkdirSync(root);
    await writeBusyboxRoot(root);
    const unpacked = [...files].filter((path) => path.startsWith(dirname(bin)));
    const archive = join(folder, 'root.tar');
    await mustRun('tar', [
      '-C',
      root,
      '-cf',
      archive,
      '.',
      '-C',
      '/',
      ...unpacked.map((path) => path.slice(1)),
    ]);
    await isolating.docker('import', '--change', `ENV PATH=${bin}:/bin`, archive, name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The libraries that a program is linked with, as its loader finds them; none for a static one. */
async function librariesOf(program: string): Promise<string[]> {
  const listed = await mustRun('sh', ['-c', 'ldd "$1" 2>/dev/null || true', 'sh', program]);
  return [...listed.matchAll(/(?:=> )?(\/\S+) (?:\(0x|=>)/g)].map(([, path]) => path ?? '');
}
