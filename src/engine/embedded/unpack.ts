/**
 * Unpacks the engine's packages into a folder of its own and makes its programs run there, on the C library that
 * came with them, whatever the host's is. Must never write outside of that folder.
 */
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { mustRun, runCommand } from './command.js';
import { withFileLock } from './file-lock.js';
import { discardDownloads, downloadPackages, type PackageSet } from './packages.js';

/** An unpacked engine. Every path is absolute. */
export interface EngineFiles {
  /** The engine's version, for example 26.1.5. */
  readonly version: string;
  /** Folder with dockerd, containerd, its shims, runc, docker-init and docker-proxy: belongs into dockerd's PATH. */
  readonly bin: string;
  /** Folder with both variants of iptables, for hosts that have none (packet-filter.ts). */
  readonly packetFilter: string;
  /** Folder with iptables' extensions (XTABLES_LIBDIR). */
  readonly packetFilterExtensions: string;
  /** Folder with docker-buildx and docker-compose, where the set had them (`cliPluginsExtraDirs`). */
  readonly cliPlugins: string;
}

const layouts: Partial<Record<NodeJS.Architecture, { triplet: string; loader: string }>> = {
  x64: { triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
};

const programs: Record<'bin' | 'packet-filter' | 'cli-plugins', readonly string[]> = {
  bin: [
    'dockerd',
    'docker-proxy',
    'docker-init',
    'containerd',
    'containerd-shim',
    'containerd-shim-runc-v2',
    'ctr',
    'runc',
  ],
  'packet-filter': ['xtables-nft-multi', 'xtables-legacy-multi'],
  'cli-plugins': ['docker-buildx', 'docker-compose'],
};

/**
 * Unpacks a set of packages into `folder`, once: a folder that is complete is used as it is. Several processes may
 * ask for the same folder at once, and an aborted one is taken up where it stopped.
 * @throws CommandError when a package can't be fetched or unpacked
 */
export async function unpackEngine(
  set: PackageSet,
  folder: string,
  onProgress: (message: string) => void = () => {},
): Promise<EngineFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const wanted = `${set.suite} ${set.packages.join(' ')}\n`;
  if (!isComplete(folder, wanted)) {
    await withFileLock(join(folder, 'lock'), async () => {
      if (!isComplete(folder, wanted)) await unpack(set, folder, onProgress);
      writeFileSync(join(folder, 'complete'), wanted);
    });
  }
  return engineFilesIn(folder);
}

function isComplete(folder: string, wanted: string): boolean {
  const mark = join(folder, 'complete');
  return existsSync(mark) && readFileSync(mark, 'utf8') === wanted;
}

/** The files of an engine that was unpacked into `folder` before. */
export function engineFilesIn(folder: string): EngineFiles {
  return {
    version: readFileSync(join(folder, 'version'), 'utf8').trim(),
    bin: join(folder, 'bin'),
    packetFilter: join(folder, 'packet-filter'),
    packetFilterExtensions: join(folder, 'root/usr/lib', layout().triplet, 'xtables'),
    cliPlugins: join(folder, 'cli-plugins'),
  };
}

function layout(): { triplet: string; loader: string } {
  const found = layouts[process.arch];
  if (!found)
    throw new Error(`the embedded engine runs on x86-64 and arm64, this machine is ${process.arch}`);
  return found;
}

async function unpack(set: PackageSet, folder: string, onProgress: (message: string) => void): Promise<void> {
  for (const name of ['complete', 'root', ...Object.keys(programs)]) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
  const debs = await downloadPackages(set, folder, onProgress);
  onProgress('unpacking');
  const root = join(folder, 'root');
  mergeUsr(root);
  for (const deb of debs) {
    // `dpkg-deb -x` would replace a link like lib → usr/lib by the folder that an older package has there.
    await mustRun('sh', [
      '-c',
      'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"',
      'sh',
      deb,
      root,
    ]);
  }
  for (const [place, names] of Object.entries(programs)) {
    mkdirSync(join(folder, place), { recursive: true });
    for (const program of findPrograms(root, names)) {
      await bindToOwnLibraries(program.path, root);
      symlinkSync(program.path, join(folder, place, program.name));
    }
  }
  writeFileSync(join(folder, 'version'), `${await engineVersion(folder)}\n`);
  discardDownloads(folder);
}

/** What dockerd says of itself, without the suffixes that Debian gives its versions. */
async function engineVersion(folder: string): Promise<string> {
  const said = await mustRun(join(folder, 'bin/dockerd'), ['--version']);
  const version = /version (\d+\.\d+\.\d+)/.exec(said)?.[1];
  if (!version) throw new Error(`dockerd doesn't tell its version: ${said.trim()}`);
  return version;
}

/** Gives the folder Debian's merged-/usr layout, which older packages still rely on. */
function mergeUsr(root: string): void {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
}

function findPrograms(root: string, names: readonly string[]): { name: string; path: string }[] {
  const places = ['usr/sbin', 'usr/bin', 'usr/libexec/docker/cli-plugins', 'usr/lib/docker/cli-plugins'];
  return names.flatMap((name) => {
    const path = places.map((place) => join(root, place, name)).find((candidate) => existsSync(candidate));
    return path ? [{ name, path: realpathSync(path) }] : [];
  });
}

/**
 * Points a dynamic program at the loader and the libraries unpacked beside it. Starting it through the loader
 * instead would not do: dockerd and runc start themselves again by /proc/self/exe, which would be the loader.
 */
async function bindToOwnLibraries(program: string, root: string): Promise<void> {
  if (!hasInterpreter(program)) return;
  const { triplet, loader } = layout();
  const libraries = join(root, 'usr/lib', triplet);
  const interpreter = join(libraries, loader);
  const patchelf = [interpreter, '--library-path', libraries, join(root, 'usr/bin/patchelf')] as const;
  const [start, ...argv] = patchelf;
  await mustRun(start, [
    ...argv,
    '--force-rpath',
    '--set-interpreter',
    interpreter,
    '--set-rpath',
    libraries,
    program,
  ]);
  const { stdout, stderr } = await runCommand(interpreter, ['--list', program]);
  const missing = `${stdout}\n${stderr}`.split('\n').filter((line) => /not found/.test(line));
  if (missing.length > 0)
    throw new Error(`${basename(program)} lacks libraries: ${missing.join('; ').trim()}`);
}

/** Whether an ELF program asks for a dynamic loader: has a program header of type PT_INTERP (elf(5)). */
export function hasInterpreter(path: string): boolean {
  if (!lstatSync(path).isFile()) return false;
  const head = Buffer.alloc(4096);
  const file = openSync(path, 'r');
  try {
    readSync(file, head, 0, head.length, 0);
  } finally {
    closeSync(file);
  }
  if (head.readUInt32BE(0) !== 0x7f45_4c46) return false;
  const start = Number(head.readBigUInt64LE(32));
  const size = head.readUInt16LE(54);
  const count = head.readUInt16LE(56);
  for (let index = 0; index < count; index += 1) {
    if (head.readUInt32LE(start + index * size) === 3) return true;
  }
  return false;
}
