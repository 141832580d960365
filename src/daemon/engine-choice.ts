/**
 * Which engine the daemon stands in front of: the one that was named or found, else the embedded one, and the
 * launcher with which that engine starts its containers. It must never take an engine's word for what only its
 * process can tell.
 */
import {
  embeddedEnginePlaces,
  ensureEmbeddedEngine,
  unpackEmbeddedEngine,
} from '../engine/embedded/engine.js';
import { environmentOf } from '../engine/embedded/process-id.js';
import { enginePid, findEngine } from '../engine/find.js';
import type { Backend } from '../runtime/backend.js';
import { installLauncher } from '../runtime/launcher.js';

export interface EngineChoiceOptions {
  /** Address that was named, `unix:///…`. */
  readonly engine: string | undefined;
  readonly listen: readonly string[];
  readonly stateDir: string;
  readonly runDir: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Port of the proxy through which an embedded engine is to connect; undefined for none. */
  readonly egressPort: number | undefined;
  /** Told in words what is being done, for a person who waits. */
  readonly onProgress: (message: string) => void;
}

export interface ChosenEngine {
  /** Path of its unix socket. */
  readonly socket: string;
  readonly embedded: boolean;
  /** Folder of docker CLI plugins that came with the embedded engine. */
  readonly cliPlugins?: string;
  /** What it can't do on this host, one line each. */
  readonly warnings: readonly string[];
  readonly launcher: string;
  readonly backend: Backend;
}

/**
 * Finds the engine, or brings up the embedded one, with the launcher in place before a container could need it.
 * @throws RuntimeRefusal when this host has no program that could start containers
 * @throws Error when the embedded engine can't be had or doesn't start
 */
export async function chooseEngine(options: EngineChoiceOptions): Promise<ChosenEngine> {
  const places = { stateDir: options.stateDir, runDir: options.runDir };
  const embedded = embeddedEnginePlaces(options.stateDir, options.runDir).socket;
  const found = await findEngine(options, options.environment);
  if (found !== undefined && found.socket !== embedded) {
    return {
      socket: found.socket,
      embedded: false,
      warnings: [],
      ...installLauncher({ ...places, ...searchPathOf(found.socket) }),
    };
  }
  const files = await unpackEmbeddedEngine(options.stateDir, options.onProgress);
  const installed = installLauncher({ ...places, path: files.bin });
  const engine = await ensureEmbeddedEngine({
    ...places,
    launcher: installed.launcher,
    egressPort: options.egressPort,
    onProgress: options.onProgress,
  });
  return {
    socket: engine.socket,
    embedded: true,
    cliPlugins: engine.files.cliPlugins,
    warnings: engine.warnings,
    ...installed,
  };
}

/** dockerd takes its programs from its own PATH, which needn't be ours. */
function searchPathOf(socket: string): { readonly path?: string } {
  const pid = enginePid(socket);
  const entry = pid === undefined ? undefined : environmentOf(pid).find((line) => line.startsWith('PATH='));
  return entry === undefined ? {} : { path: entry.slice('PATH='.length) };
}
