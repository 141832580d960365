/** The test image: busybox with its applets, files of several owners, and the folders that programs expect. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from '../../src/engine/embedded/command.js';
import type { DockerCli } from './docker-cli.js';
import { busyboxProgram } from './engine-releases.js';

/** Writes a busybox root file system into `folder`: /data/by-999 belongs to 999:999, /data/by-root to root. */
export async function writeBusyboxRoot(folder: string): Promise<void> {
  for (const name of ['bin', 'dev', 'etc', 'home/app', 'proc', 'root', 'sys', 'tmp', 'var/tmp', 'data']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  chmodSync(folder, 0o755);
  for (const name of ['tmp', 'var/tmp']) chmodSync(join(folder, name), 0o1777);
  copyFileSync(await busyboxProgram(), join(folder, 'bin/busybox'));
  chmodSync(join(folder, 'bin/busybox'), 0o755);
  const applets = (await mustRun(join(folder, 'bin/busybox'), ['--list'])).trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') symlinkSync('busybox', join(folder, 'bin', applet));
  writeFileSync(
    join(folder, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\napp:x:999:999:app:/home/app:/bin/sh\n',
  );
  writeFileSync(join(folder, 'etc/group'), 'root:x:0:\napp:x:999:\n');
  writeFileSync(join(folder, 'data/by-root'), 'root\n');
  writeFileSync(join(folder, 'data/by-999'), 'app\n');
  chownSync(join(folder, 'data/by-999'), 999, 999);
  chownSync(join(folder, 'home/app'), 999, 999);
}

/** Imports the test image under a name (`docker import`). */
export async function importBusybox(cli: DockerCli, name = 'busybox'): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-busybox-'));
  try {
    const root = join(folder, 'root');
    mkdirSync(root);
    await writeBusyboxRoot(root);
    await mustRun('tar', ['-C', root, '-cf', join(folder, 'root.tar'), '.']);
    await cli.must(
      'import',
      '--change',
      'ENV PATH=/bin',
      '--change',
      'CMD ["sh"]',
      join(folder, 'root.tar'),
      name,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
