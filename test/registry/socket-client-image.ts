/** A test image that can use a Docker socket: busybox with this machine's docker command line and what it needs. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mustRun, runCommand } from '../../src/engine/embedded/command.js';
import { writeBusyboxRoot } from '../support/busybox-image.js';
import type { DockerCli } from '../support/docker-cli.js';

/** Imports the image under a name. */
export async function importSocketClient(cli: DockerCli, name: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-socket-client-'));
  try {
    const root = join(folder, 'root');
    mkdirSync(root);
    await writeBusyboxRoot(root);
    const program = (await mustRun('sh', ['-c', 'command -v docker'])).trim();
    // A static program has none, and ldd says so with an exit code.
    const { stdout } = await runCommand('ldd', [program]);
    const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
    for (const path of libraries) copy(path, join(root, path));
    copy(program, join(root, 'bin/docker'));
    await mustRun('tar', ['-C', root, '-cf', join(folder, 'root.tar'), '.']);
    const changes = ['--change', 'ENV PATH=/bin', '--change', 'CMD ["sh"]'];
    await cli.must('import', ...changes, join(folder, 'root.tar'), name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { dereference: true });
}
