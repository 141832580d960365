/** The engines that the product is tested against: where their packages are, unpacked once for all test runs. */
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { enginePackageSet, type PackageSet } from '../../src/engine/embedded/packages.js';
import { type EngineFiles, unpackEngine } from '../../src/engine/embedded/unpack.js';

export type EngineVersion = '20.10' | '26.1' | '28.5';

export const engineVersions: readonly EngineVersion[] = ['20.10', '26.1', '28.5'];

const deviceMapper = ['libdevmapper1.02.1', 'libselinux1', 'libudev1', 'libpcre2-8-0'];

const releases: Record<EngineVersion, PackageSet> = {
  '20.10': enginePackageSet('bookworm', deviceMapper),
  '26.1': enginePackageSet('trixie', ['docker-buildx', 'docker-compose', 'busybox-static']),
  '28.5': enginePackageSet('forky', ['docker-buildx', 'tini-static']),
};

/** Folder that keeps what tests unpack, between runs. */
export const cacheFolder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cofferdam');

/** The files of an engine, unpacked on first use. */
export async function engineFiles(version: EngineVersion): Promise<EngineFiles> {
  const folder = join(cacheFolder, 'engines', version);
  mkdirSync(folder, { recursive: true });
  return unpackEngine(releases[version], folder, (step) => {
    process.stderr.write(`engine ${version}: ${step}\n`);
  });
}

/** A static busybox with the usual applets: the root file system of the test images. */
export async function busyboxProgram(): Promise<string> {
  await engineFiles('26.1');
  const program = join(cacheFolder, 'engines/26.1/root/usr/bin/busybox');
  if (!existsSync(program)) throw new Error(`${program} is missing: delete ${cacheFolder}/engines/26.1`);
  return program;
}

/** Folder with docker-compose 2.26 and docker-buildx 0.13, or buildx 0.29 alone. */
export async function cliPlugins(buildx: '0.13' | '0.29'): Promise<string> {
  return (await engineFiles(buildx === '0.13' ? '26.1' : '28.5')).cliPlugins;
}
