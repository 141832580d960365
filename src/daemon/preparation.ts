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

/** How often an engine that isn't prepared is asked again, in milliseconds: setup needs no restart of ours. */
const lookEvery = 1_000;

export class PreparationWatch {
  #known = unprepared;
  readonly #socket: string;
  readonly #launcher: string;
  readonly #timer: NodeJS.Timeout;

  /**
   * @param socket path of the engine's unix socket
   * @param launcher the runtime launcher; BuildKit's is `buildkit/runc` beside it
   * @param onChange told when the answer has become another one
   */
  constructor(socket: string, launcher: string, onChange: (now: EnginePreparation) => void) {
    this.#socket = socket;
    this.#launcher = launcher;
    this.#timer = setInterval(() => {
      if (!isComplete(this.#known)) void this.refresh().then((changed) => changed && onChange(this.#known));
    }, lookEvery);
    this.#timer.unref();
  }

  /** The last answer. The object stays the same while the answer does. */
  get current(): EnginePreparation {
    return this.#known;
  }

  /** The engine is away, or another one may come. */
  forget(): void {
    this.#known = unprepared;
  }

  /**
   * Asks the engine anew.
   * @returns whether the answer changed
   */
  async refresh(): Promise<boolean> {
    const before = this.#known;
    const now = await readPreparation(this.#socket, this.#launcher).catch(() => unprepared);
    if (JSON.stringify(now) === JSON.stringify(before)) return false;
    this.#known = now;
    return true;
  }

  close(): void {
    clearInterval(this.#timer);
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
