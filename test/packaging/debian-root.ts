/**
 * A small Debian of its own with systemd and its Docker Engine, to install packages into: made once by debootstrap,
 * copied for each test.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findDebianMirror } from '../../src/engine/embedded/packages.js';
import { cacheFolder } from '../support/engine-releases.js';

const execute = promisify(execFile);

export interface Outcome {
  readonly code: number;
  /** Standard output and standard error. */
  readonly text: string;
}

export class DebianRoot {
  constructor(readonly path: string) {}

  /** Runs a command inside, with a /proc and a mount namespace of its own; never throws for its exit code. */
  run(...argv: string[]): Promise<Outcome> {
    const enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    return new Promise((resolve) => {
      execFile(
        'unshare',
        ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', enter, this.path, ...argv],
        { env, encoding: 'utf8' },
        (error, out, complaint) =>
          resolve({ code: error === null ? 0 : Number(error.code), text: out + complaint }),
      );
    });
  }

  exists(path: string): boolean {
    return existsSync(join(this.path, path));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** What the package depends on and recommends, an engine, systemd to run both, and what an administrator types. */
const packages =
  'libstdc++6,runc,bzip2,xz-utils,zstd,docker.io,iptables,ca-certificates,systemd-sysv,dbus,openssl,curl';
/** Debian 12 has the command line in docker.io. */
const morePackages = { bookworm: '', trixie: ',docker-cli' } as const;

/** A fresh copy of a Debian release with {@link packages}. */
export async function debianRoot(suite: 'bookworm' | 'trixie'): Promise<DebianRoot> {
  const wanted = `${packages}${morePackages[suite]}`;
  // Another list of packages is another cached root.
  const mark = createHash('sha256').update(wanted).digest('hex').slice(0, 8);
  const cached = join(cacheFolder, `debian-${suite}-${mark}`);
  if (!existsSync(cached)) {
    const fresh = mkdtempSync('/var/tmp/cofferdam-debootstrap-');
    await execute(
      'debootstrap',
      ['--variant=minbase', `--include=${wanted}`, suite, fresh, findDebianMirror()],
      { maxBuffer: 64 * 1024 * 1024 },
    );
    await execute('mkdir', ['-p', cacheFolder]);
    await execute('cp', ['-a', fresh, `${cached}.new`]);
    rmSync(fresh, { recursive: true });
    renameSync(`${cached}.new`, cached);
  }
  const copy = mkdtempSync(`/var/tmp/cofferdam-${suite}-`);
  await execute('cp', ['-a', '--reflink=auto', `${cached}/.`, copy]);
  // A root folder is open to everybody; one that mkdtemp made is not.
  chmodSync(copy, 0o755);
  return new DebianRoot(copy);
}
