/**
 * User namespaces for idmapped mounts. Node can't make one itself (unshare(2) refuses a process with threads), so
 * a short helper process does; some are made ahead, still without a mapping, so that any range can have one at
 * once. A helper never gets a map that reaches id 0 of the host, and ends when its namespace is handed out.
 */
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { delimiter } from 'node:path';
import { leanSpawn, reap } from '../system/lean-spawn.js';
import { namespaceInode, type OpenNamespace, openNamespace } from '../system/namespaces.js';
import { executables, searchFolders } from '../system/program-search.js';
import { type IdMapping, mapText } from './id-mapping.js';
import { RuntimeRefusal } from './refusal.js';

/** Where the helper's programs are. */
const folders = searchFolders();

/** Milliseconds until used helpers are ended and others made: once the container runs, sooner when few are left. */
const tidyDelay = { usual: 300, hurried: 30 };
const fewReady = 2;

export class UserNamespaces {
  readonly #ahead: number;
  readonly #ready: Helper[] = [];
  readonly #used: Helper[] = [];
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
    const helper = this.#takeReady() ?? (await Helper.start());
    this.#used.push(helper);
    try {
      return helper.map(mapping);
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
    for (const helper of this.#ready.splice(0)) helper.end();
  }

  /** Ending a helper and starting the next takes two processes' time, which no container's start is to wait for. */
  #tidyLater(): void {
    clearTimeout(this.#later);
    const delay = this.#ready.length < fewReady ? tidyDelay.hurried : tidyDelay.usual;
    this.#later = setTimeout(() => {
      this.#endUsed();
      this.#refill();
    }, delay).unref();
  }

  #endUsed(): void {
    for (const helper of this.#used.splice(0)) helper.end();
  }

  #takeReady(): Helper | undefined {
    for (let helper = this.#ready.shift(); helper !== undefined; helper = this.#ready.shift()) {
      if (!helper.ended) return helper;
    }
    return undefined;
  }

  #refill(): void {
    while (!this.#closed && this.#ready.length + this.#making < this.#ahead) {
      this.#making += 1;
      Helper.start().then(
        (helper) => {
          this.#making -= 1;
          if (this.#closed) helper.end();
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

/** A process alone in a new user namespace that has no mapping yet; it waits until its input ends. */
class Helper {
  readonly #pid: number;
  readonly #socket: Socket;
  #ended = false;

  private constructor() {
    const program = ['unshare', '--user', 'sh', '-c', 'cd /; echo; read _'];
    const [unshare] = executables('unshare', folders);
    if (unshare === undefined) throw new Error(`there is no unshare in ${folders.join(delimiter)}`);
    const { pid, socket } = leanSpawn(unshare, program, { PATH: folders.join(delimiter) });
    this.#pid = pid;
    this.#socket = socket;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#ended = true;
      // Closing its streams would not end it; until it is reaped, its number is no other's.
      process.kill(pid, 'SIGKILL');
      reap(pid);
    });
  }

  /** @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST when this host can't make a user namespace */
  static async start(): Promise<Helper> {
    let helper: Helper | undefined;
    try {
      helper = new Helper();
      await helper.#ready();
      if (namespaceInode(helper.#pid, 'user') === namespaceInode('self', 'user')) {
        throw new Error('unshare made no namespace');
      }
      return helper;
    } catch (problem) {
      helper?.end();
      throw new RuntimeRefusal(
        'COFFERDAM_RUNTIME_HOST',
        `this host can't make a user namespace (is user.max_user_namespaces 0, or util-linux missing?): ${problem instanceof Error ? problem.message : String(problem)}`,
        problem,
      );
    }
  }

  /** Settled when it says that it is in its namespace: a single newline, where anything else is a complaint. */
  #ready(): Promise<void> {
    const socket = this.#socket;
    let said = '';
    return new Promise((resolve, reject) => {
      socket.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said !== '\n') return;
        // A waiting helper keeps neither this process nor a test alive.
        socket.unref();
        resolve();
      });
      socket.on('close', () => reject(new Error(said.trim() || 'unshare ended at once')));
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  map(mapping: IdMapping): OpenNamespace {
    writeFileSync(`/proc/${this.#pid}/uid_map`, mapText(mapping.uid));
    writeFileSync(`/proc/${this.#pid}/gid_map`, mapText(mapping.gid));
    return openNamespace(`/proc/${this.#pid}/ns/user`);
  }

  /** Ends it; it is reaped when its end of the socket is closed. */
  end(): void {
    if (!this.#ended) process.kill(this.#pid, 'SIGKILL');
  }
}
