/**
 * The programs of the peers: the host's own where they are installed, else Debian's packages, fetched by apt with its
 * checks into the cache folder of the tests and unpacked there. Must never install anything on the host.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, runCommand } from '../src/engine/embedded/command.js';
import { withFileLock } from '../src/engine/embedded/file-lock.js';
import { discardDownloads, downloadPackages, type PackageSet } from '../src/engine/embedded/packages.js';
import { cacheFolder } from '../test/support/engine-releases.js';

/** haproxy 2.6 and nginx 1.22 of Debian 12, with every library that they are linked against. */
const peerPackages: PackageSet = {
  suite: 'bookworm',
  packages: [
    ...['haproxy', 'nginx', 'libc6', 'libgcc-s1', 'libstdc++6', 'libcrypt1', 'libssl3', 'zlib1g'],
    ...['libpcre2-8-0', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1', 'libsystemd0'],
    ...['libcap2', 'libgcrypt20', 'libgpg-error0', 'liblzma5', 'libzstd1', 'liblz4-1'],
  ],
};

const loaders: Partial<Record<NodeJS.Architecture, { triplet: string; loader: string }>> = {
  x64: { triplet: 'x86_64-linux-gnu', loader: 'lib64/ld-linux-x86-64.so.2' },
  arm64: { triplet: 'aarch64-linux-gnu', loader: 'lib/ld-linux-aarch64.so.1' },
};

/** The words that start a peer's program; its own arguments follow. */
export async function peerCommand(program: 'haproxy' | 'nginx'): Promise<readonly string[]> {
  if ((await runCommand(program, ['-v'])).code === 0) return [program];
  const layout = loaders[process.arch];
  if (!layout)
    throw new Error(`${program} is not installed, and there is no package of it for ${process.arch}`);
  const root = await unpacked();
  const libraries = ['lib', 'usr/lib'].map((folder) => join(root, folder, layout.triplet)).join(':');
  // On the C library that came with it: the host's may be another one.
  return [join(root, layout.loader), '--library-path', libraries, join(root, 'usr/sbin', program)];
}

async function unpacked(): Promise<string> {
  const folder = join(cacheFolder, 'peers');
  const root = join(folder, 'root');
  mkdirSync(folder, { recursive: true });
  await withFileLock(join(folder, 'lock'), async () => {
    if (existsSync(root)) return;
    const say = (step: string): void => void process.stderr.write(`bench: haproxy and nginx: ${step}\n`);
    const unfinished = join(folder, 'unfinished');
    rmSync(unfinished, { recursive: true, force: true });
    for (const deb of await downloadPackages(peerPackages, folder, say)) {
      await mustRun('dpkg-deb', ['-x', deb, unfinished]);
    }
    discardDownloads(folder);
    renameSync(unfinished, root);
  });
  return root;
}
