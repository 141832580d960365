/**
 * Debian's packages of the engine: which ones, and how they are fetched from the mirror that the host itself uses.
 * apt checks the archive's signature; nothing is installed on the host and its package lists are not touched.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from './command.js';

/** A set of packages that is unpacked together, from one release of Debian. */
export interface PackageSet {
  /** Release of Debian, by its code name. */
  readonly suite: string;
  readonly packages: readonly string[];
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** What dockerd, containerd and runc are linked against; the engine must not depend on the host's own versions. */
const libraries = ['libc6', 'libgcc-s1', 'libseccomp2', 'libsystemd0', 'libcap2'] as const;

/** iptables for bridge networks, for hosts that have none, and what it is linked against. */
const packetFilter = [
  'iptables',
  'libip4tc2',
  'libip6tc2',
  'libxtables12',
  'libmnl0',
  'libnetfilter-conntrack3',
  'libnfnetlink0',
  'libnftnl11',
] as const;

/**
 * patchelf comes from Debian 12 (0.14): 0.18 of the later releases destroys some large Go programs, containerd 1.7
 * among them (they end with a segmentation fault).
 */
const toolSuite = 'bookworm';
const toolLibraries = ['libc6', 'libgcc-s1', 'libstdc++6'] as const;

const enginePackages = ['docker.io', 'containerd', 'runc', 'tini', ...libraries, ...packetFilter] as const;

/** The embedded engine: Docker Engine 26.1 of Debian 13, with the command line's buildx and compose plugins. */
export const embeddedPackages: PackageSet = {
  suite: 'trixie',
  packages: [...enginePackages, 'docker-buildx', 'docker-compose'],
};

/** The packages of an engine of another release of Debian; `more` are those that only this release needs. */
export function enginePackageSet(suite: string, more: readonly string[] = []): PackageSet {
  return { suite, packages: [...enginePackages, ...more] };
}

/**
 * Finds the mirror that the host takes Debian's packages from, in apt's sources (sources.list(5), both formats).
 * @throws when the host has no source of Debian packages
 */
export function findDebianMirror(aptFolder = '/etc/apt'): string {
  const texts = sourceFiles(aptFolder).map((file) => readFileSync(file, 'utf8'));
  const mirrors = texts.flatMap((text) => [
    ...[...text.matchAll(/^URIs:\s*(\S+)/gm)].map(([, uri]) => uri),
    ...[...text.matchAll(/^deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(?!\.?\/)\S+\s+\S/gm)].map(([, uri]) => uri),
  ]);
  // The security archive has other suites; only the main archive has every release.
  const mirror = mirrors.find((uri) => uri && /^https?:/.test(uri) && /debian\/?$/.test(uri));
  if (mirror) return mirror;
  throw new Error(
    `no Debian archive in ${aptFolder}/sources.list or ${aptFolder}/sources.list.d: the engine's packages can't be fetched`,
  );
}

function sourceFiles(aptFolder: string): string[] {
  const folder = join(aptFolder, 'sources.list.d');
  return [
    ...readdirSync(aptFolder)
      .filter((name) => name === 'sources.list')
      .map((name) => join(aptFolder, name)),
    ...readdirSync(aptFolder)
      .filter((name) => name === 'sources.list.d')
      .flatMap(() => readdirSync(folder))
      .filter((name) => name.endsWith('.list') || name.endsWith('.sources'))
      .sort()
      .map((name) => join(folder, name)),
  ];
}

/**
 * Downloads the packages of a set, and patchelf, into `folder`/debs and returns their paths. What an earlier, aborted download
 * left there is used again when its checksum is right (apt-get(8), `download`).
 */
export async function downloadPackages(
  set: PackageSet,
  folder: string,
  onProgress: (message: string) => void,
): Promise<string[]> {
  const lists = join(folder, 'lists');
  const debs = join(folder, 'debs');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  mkdirSync(debs, { recursive: true });
  const sources = join(folder, 'sources.list');
  const mirror = findDebianMirror();
  const suites = [...new Set([set.suite, toolSuite])];
  writeFileSync(
    sources,
    suites.map((suite) => `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`).join(''),
  );
  const apt = [
    '-qq',
    ...['-o', `Dir::Etc::sourcelist=${sources}`],
    ...['-o', 'Dir::Etc::sourceparts=/dev/null'],
    ...['-o', 'Dir::Etc::preferences=/dev/null', '-o', 'Dir::Etc::preferencesparts=/dev/null'],
    ...['-o', `Dir::State::lists=${lists}`],
    ...[
      '-o',
      `Dir::Cache::pkgcache=${folder}/pkgcache.bin`,
      '-o',
      `Dir::Cache::srcpkgcache=${folder}/srcpkgcache.bin`,
    ],
    // Without this a mirror that can't be reached is a warning only (apt.conf(5)).
    ...['-o', 'APT::Update::Error-Mode=any'],
    ...['-o', 'Acquire::Languages=none', '-o', 'Acquire::Retries=3'],
    // The _apt user can't reach a folder that only root may enter.
    ...['-o', 'APT::Sandbox::User=root'],
  ];
  onProgress(`reading the package lists of Debian ${set.suite}`);
  await mustRun('apt-get', [...apt, 'update']);
  // The suite is named with each package: apt would otherwise prefer what the host has installed.
  const wanted = [
    ...new Set([...set.packages, ...toolLibraries].map((name) => `${name}/${set.suite}`)),
    `patchelf/${toolSuite}`,
  ];
  onProgress(`downloading ${wanted.length} packages`);
  await mustRun('apt-get', [...apt, 'download', ...wanted], { cwd: debs });
  return readdirSync(debs)
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(debs, name));
}

/** Deletes what only the download needed: package lists and the packages themselves. */
export function discardDownloads(folder: string): void {
  const gone = join(folder, `discarded-${process.pid}`);
  mkdirSync(gone, { recursive: true });
  for (const name of ['lists', 'debs']) renameSync(join(folder, name), join(gone, name));
  for (const name of ['sources.list', 'pkgcache.bin', 'srcpkgcache.bin', `discarded-${process.pid}`]) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}
