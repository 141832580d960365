/**
 * What the engine must be: reachable, recent enough, with our runtime registered, as its default, and for builds.
 */
import { readPreparation } from '../daemon/preparation.js';
import type { EngineClient } from '../engine/client.js';
import { bad, type Check, guarded, ok } from './check.js';

const oldestApiMinor = 41;

async function version(client: EngineClient): Promise<Check> {
  const { Version, ApiVersion } = await client.version();
  const minor = Number(ApiVersion.split('.')[1]);
  return minor >= oldestApiMinor
    ? ok('engine', `Docker ${Version}, API ${ApiVersion}, at ${client.socketPath}`)
    : bad('engine', `Docker ${Version} is older than 20.10`, 'upgrade the engine');
}

async function storage(client: EngineClient): Promise<Check> {
  const { Driver, DockerRootDir } = await client.info();
  const known = ['overlay2', 'overlayfs'];
  return known.includes(Driver)
    ? ok('storage driver', `${Driver} in ${DockerRootDir}`)
    : bad(
        'storage driver',
        `${Driver} can't be mounted with shifted owners`,
        'use overlay2 or the containerd image store',
      );
}

async function registration(client: EngineClient, launcher: string, remedy: string): Promise<Check[]> {
  const { runtime, defaultRuntime, builds } = await readPreparation(client.socketPath, launcher);
  return [
    runtime
      ? ok('runtime registration', `sysbox-runc is ${launcher}`)
      : bad('runtime registration', `the engine has no sysbox-runc at ${launcher}`, remedy),
    defaultRuntime
      ? ok('default runtime', 'sysbox-runc: what reaches the engine past cofferdam is isolated as well')
      : bad('default runtime', "the engine's default runtime is another one", remedy),
    builds
      ? ok('build runtime', 'RUN steps of BuildKit are isolated')
      : bad(
          'build runtime',
          'RUN steps of BuildKit would not be isolated',
          `${remedy}, then restart dockerd`,
        ),
  ];
}

/**
 * Everything about the engine behind a socket.
 * @param remedy how the runtime is registered with it
 */
export async function examineEngine(
  client: EngineClient,
  launcher: string,
  remedy: string,
): Promise<Check[]> {
  const first = await guarded('engine', 'start the engine, or name it with --engine', () => version(client));
  if (first.outcome === 'bad') return [first];
  const registered = await registration(client, launcher, remedy).catch((error: unknown) => [
    bad('runtime registration', String(error), remedy),
  ]);
  const stored = await guarded('storage driver', 'see the log of the engine', () => storage(client));
  return [first, stored, ...registered];
}

/** Folders whose file systems the engine keeps containers on; none while it can't be asked. */
export async function engineFolders(client: EngineClient): Promise<string[]> {
  try {
    return [(await client.info()).DockerRootDir];
  } catch {
    return [];
  }
}
