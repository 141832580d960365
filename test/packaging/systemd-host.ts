/**
 * A Debian that runs: systemd as the first process of namespaces of its own, with a network that has no way out. Only
 * its kernel is the machine's. It ends with everything in it, and leaves nothing.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DebianRoot, Outcome } from './debian-root.js';

/** Makes the root of a container as systemd.io/CONTAINER_INTERFACE wants it, and becomes its first process. */
const boot = `
root=$1; cgroup=$2
mount --bind "$root" "$root"; cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mknod -m 666 dev/null c 1 3; mknod -m 666 dev/zero c 1 5; mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8; mknod -m 666 dev/urandom c 1 9; mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts; ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
ip link set lo up
pivot_root . mnt; cd /; umount -l mnt
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init
`;

const environment = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LC_ALL: 'C',
  TERM: 'dumb',
  DEBIAN_FRONTEND: 'noninteractive',
};
const bootMilliseconds = 60_000;

/** Where the machine has its cgroups of version 2 mounted, alone or beside version 1. */
function unifiedMount(): string {
  const line = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((entry) => entry.split(' ')[2] === 'cgroup2');
  if (line === undefined) throw new Error('this machine has no cgroups of version 2');
  return line.split(' ')[1] ?? '';
}

/** Removes a cgroup with those below it; they are empty once the processes are gone. */
async function removeCgroup(path: string): Promise<void> {
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of below) await removeCgroup(join(path, name));
  for (let tries = 0; ; tries += 1) {
    try {
      return rmdirSync(path);
    } catch (error) {
      // The kernel lets go of a killed process's cgroup a moment after the process.
      if (tries >= 100) throw error;
      await sleep(50);
    }
  }
}

export class SystemdHost {
  readonly #root: DebianRoot;
  #child: ChildProcess | undefined;
  #init = 0;
  #cgroup = '';

  constructor(root: DebianRoot) {
    this.#root = root;
  }

  get root(): DebianRoot {
    return this.#root;
  }

  /** Boots, and waits until systemd has started everything. */
  async boot(): Promise<void> {
    this.#cgroup = join(unifiedMount(), `cofferdam-test-${process.pid}-${Date.now()}`);
    mkdirSync(this.#cgroup);
    const unshare =
      'echo $$ > "$2/cgroup.procs"; exec unshare --pid --mount --uts --ipc --net --cgroup --fork --kill-child --propagation=slave sh -ec "$0" sh "$1"';
    this.#child = spawn('sh', ['-ec', unshare, boot, this.#root.path, this.#cgroup], { stdio: 'ignore' });
    const deadline = Date.now() + bootMilliseconds;
    for (let state = ''; !/^(running|degraded)/.test(state); state = await this.#state()) {
      if (this.#child.exitCode !== null) throw new Error(`systemd ended with ${this.#child.exitCode}`);
      if (Date.now() > deadline) throw new Error(`systemd does not come up: ${state}`);
      await sleep(100);
    }
  }

  async #state(): Promise<string> {
    const parent = this.#child?.pid;
    this.#init = Number(readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim() || 0);
    if (this.#init === 0) return '';
    return (await this.run('systemctl', 'is-system-running')).text;
  }

  /** Runs a command inside; never throws for its exit code. */
  run(...argv: string[]): Promise<Outcome> {
    const words = ['--target', String(this.#init), '--all', ...argv];
    return new Promise((resolve) => {
      execFile('nsenter', words, { env: environment, encoding: 'utf8' }, (error, out, complaint) =>
        resolve({ code: error === null ? 0 : Number(error.code), text: out + complaint }),
      );
    });
  }

  /** Runs a shell's command inside; throws with its output when it fails. */
  async shell(command: string): Promise<string> {
    const { code, text } = await this.run('sh', '-ec', command);
    if (code !== 0) throw new Error(`${command} ended with ${code}:\n${text}`);
    return text.trim();
  }

  /** Pulls the plug: nothing inside has a chance to tidy up. */
  async powerOff(): Promise<void> {
    if (this.#child === undefined) return;
    const exit = once(this.#child, 'exit');
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL');
      await exit;
    }
    this.#child = undefined;
    await removeCgroup(this.#cgroup);
  }

  async remove(): Promise<void> {
    await this.powerOff();
    this.#root.remove();
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.#root.path, path), text);
  }

  read(path: string): string {
    return readFileSync(join(this.#root.path, path), 'utf8');
  }
}
