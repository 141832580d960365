/**
 * User namespaces for idmapped mounts. Node can't make one itself (unshare(2) refuses a process with threads), so
 * a short helper process does; some are made ahead, still without a mapping, so that any range can have one at
 * once. A helper never gets a map that reaches id 0 of the host, and ends when its namespace is handed out.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { namespaceInode, type OpenNamespace, openNamespace } from '../system/namespaces.js';
import { type IdMapping, mapText } from './id-mapping.js';
import { RuntimeRefusal } from './refusal.js';

/** Where the helper's programs are, also for a daemon that was started with a bare environment. */
const searchPath = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** Milliseconds after which the backend has long taken over. */
const tidyDelay = 30;

export class UserNamespaces {
  readonly #ahead: number;
  readonly #ready: ChildProcess[] = [];
  readonly #used: ChildProcess[] = [];
  #making = 0;
  #closed = false;
  #later: NodeJS.Timeout | undefined;

  /** @param ahead how many to keep ready; 0 makes each when it is asked for */
  constructor(ahead: number) {
    this.#ahead = ahead;
    this.#refill();
  }

  /**
   * A new user namespace with a mapping, as an open descriptor that the caller closes. Nothing runs in it.
   * @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST when this host can't make one
   */
  async make(mapping: IdMapping): Promise<OpenNamespace> {
    const helper = this.#takeReady() ?? (await startHelper());
    this.#used.push(helper);
    try {
      return mapped(helper, mapping);
    } finally {
      if (this.#closed) this.#endUsed();
      else this.#tidyLater();
    }
  }

  /** Ends the helpers that wait. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#later);
    this.#endUsed();
    for (const helper of this.#ready.splice(0)) end(helper);
  }

  /** Ending a helper and starting the next takes 4 ms, which no container's start is to wait for. */
  #tidyLater(): void {
    this.#later ??= setTimeout(() => {
      this.#later = undefined;
      this.#endUsed();
      this.#refill();
    }, tidyDelay).unref();
  }

  #endUsed(): void {
    for (const helper of this.#used.splice(0)) end(helper);
  }

  #takeReady(): ChildProcess | undefined {
    for (let helper = this.#ready.shift(); helper !== undefined; helper = this.#ready.shift()) {
      if (helper.exitCode === null && helper.signalCode === null) return helper;
    }
    return undefined;
  }

  #refill(): void {
    while (!this.#closed && this.#ready.length + this.#making < this.#ahead) {
      this.#making += 1;
      startHelper().then(
        (helper) => {
          this.#making -= 1;
          if (this.#closed) end(helper);
          else this.#ready.push(helper);
        },
        // The next `make` tries again by itself, and tells whoever waits for it.
        () => {
          this.#making -= 1;
        },
      );
    }
  }
}

/** A process alone in a new user namespace that has no mapping yet; it waits until its input is closed. */
async function startHelper(): Promise<ChildProcess> {
  const helper = spawn('unshare', ['--user', 'sh', '-c', 'echo; read _'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: searchPath },
    cwd: '/',
  });
  let complaint = '';
  helper.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  try {
    const [, failure] = await Promise.race([
      once(helper.stdout, 'data').then(() => [true]),
      once(helper, 'close').then(() => [false, complaint.trim()]),
    ]);
    if (failure !== undefined) throw new Error(String(failure) || 'unshare ended at once');
    if (helper.pid === undefined || namespaceInode(helper.pid, 'user') === namespaceInode('self', 'user')) {
      throw new Error('unshare made no namespace');
    }
  } catch (problem) {
    end(helper);
    throw new RuntimeRefusal(
      'COFFERDAM_RUNTIME_HOST',
      `this host can't make a user namespace (is user.max_user_namespaces 0, or util-linux missing?): ${problem instanceof Error ? problem.message : String(problem)}`,
      problem,
    );
  }
  // A waiting helper keeps neither this process nor a test alive.
  helper.unref();
  for (const stream of [helper.stdin, helper.stdout, helper.stderr]) {
    if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  }
  return helper;
}

function mapped(helper: ChildProcess, mapping: IdMapping): OpenNamespace {
  writeFileSync(`/proc/${helper.pid}/uid_map`, mapText(mapping.uid));
  writeFileSync(`/proc/${helper.pid}/gid_map`, mapText(mapping.gid));
  return openNamespace(`/proc/${helper.pid}/ns/user`);
}

function end(helper: ChildProcess): void {
  helper.stdin?.destroy();
  helper.kill('SIGKILL');
}
