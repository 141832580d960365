/**
 * Whether the engine would isolate what it is asked to start: cofferdam's runtime is registered and the default, and
 * BuildKit runs its steps on it. It looks at the running engine, never at a file that the engine may not have read;
 * while it can't look, nothing counts as prepared.
 */
import { dirname, join } from 'node:path';
import { environmentOf } from '../engine/embedded/process-id.js';
import type { EnginePreparation } from '../engine/fact-types.js';
import { enginePid } from '../engine/find.js';
import { engineRuntimes } from '../engine/registration.js';
import { isolatingRuntime } from '../rules/runtime.js';

const unprepared: EnginePreparation = { runtime: false, defaultRuntime: false, builds: false };

/**
 * How often an engine that isn't prepared is asked again, in milliseconds. Its events tell of a reload, and a restart
 * ends their stream: this is for an engine that does neither, and a look goes through every process of the host.
 */
const lookEvery = 60_000;
/** How soon after a look that failed, in milliseconds: an engine that starts answers a moment later. */
const lookAgain = 1_000;

export class PreparationWatch {
  #known = unprepared;
  readonly #socket: string;
  readonly #launcher: string;
  readonly #timer: NodeJS.Timeout;
  readonly #onChange: (now: EnginePreparation) => void;
  #again: NodeJS.Timeout | undefined;
  #closed = false;
  /** Counts the looks: an answer that a newer one has overtaken says nothing any more. */
  #looks = 0;

  /**
   * @param socket path of the engine's unix socket
   * @param launcher the runtime launcher; BuildKit's is `buildkit/runc` beside it
   * @param onChange told when the answer has become another one
   */
  constructor(socket: string, launcher: string, onChange: (now: EnginePreparation) => void) {
    this.#socket = socket;
    this.#launcher = launcher;
    this.#onChange = onChange;
    this.#timer = setInterval(() => {
      if (!isComplete(this.#known)) this.look();
    }, lookEvery);
    this.#timer.unref();
  }

  /** Something may have changed: asks the engine, and tells of another answer. */
  look(): void {
    void this.refresh().then((changed) => changed && this.#onChange(this.#known));
  }

  /** The last answer. The object stays the same while the answer does. */
  get current(): EnginePreparation {
    return this.#known;
  }

  /** The engine is away, or another one may come. */
  forget(): void {
    this.#looks += 1;
    this.#known = unprepared;
  }

  /**
   * Asks the engine anew.
   * @returns whether the answer changed
   */
  async refresh(): Promise<boolean> {
    this.#looks += 1;
    const look = this.#looks;
    const now = await this.#ask().catch(() => this.#later());
    if (look !== this.#looks || JSON.stringify(now) === JSON.stringify(this.#known)) return false;
    this.#known = now;
    return true;
  }

  /**
   * The engine's answer as of now. dockerd gives one answer to all who ask at the same time (moby
   * daemon/server/router/system, getInfo), and it may have begun with it before what led to this look: a question that
   * follows an answer is answered anew.
   */
  async #ask(): Promise<EnginePreparation> {
    await engineRuntimes(this.#socket);
    return readPreparation(this.#socket, this.#launcher);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#again);
  }

  #later(): EnginePreparation {
    clearTimeout(this.#again);
    if (!this.#closed) this.#again = setTimeout(() => this.look(), lookAgain).unref();
    return unprepared;
  }
}

/** True when everything that the engine starts is isolated. */
export function isComplete({ runtime, defaultRuntime, builds }: EnginePreparation): boolean {
  return runtime && defaultRuntime && builds;
}

/** Looks at the running engine once. @throws when it can't be asked */
export async function readPreparation(socket: string, launcher: string): Promise<EnginePreparation> {
  const { defaultRuntime, paths } = await engineRuntimes(socket);
  return {
    runtime: paths.get(isolatingRuntime) === launcher,
    defaultRuntime: defaultRuntime === isolatingRuntime,
    builds: isolatesBuilds(socket, join(dirname(launcher), 'buildkit')),
  };
}

/** dockerd's BuildKit runs what DOCKER_BUILDKIT_RUNC_COMMAND names; before 23.0 the first `runc` in its PATH. */
function isolatesBuilds(socket: string, folder: string): boolean {
  const pid = enginePid(socket);
  // The builds of a dockerd that can't be looked at, in another PID namespace say, can't be vouched for.
  if (pid === undefined) return false;
  return environmentOf(pid).some(
    (entry) =>
      entry === `DOCKER_BUILDKIT_RUNC_COMMAND=${join(folder, 'runc')}` ||
      entry.split(':')[0] === `PATH=${folder}`,
  );
}
