/**
 * What `cofferdam explain` knows: host paths with the eyes of whoever asks, and what the engine has where one can be
 * reached. Without an engine there are no containers, volumes, networks and images to judge by.
 */
import { execFileSync } from 'node:child_process';
import { EngineClient } from '../engine/client.js';
import { FactSource } from '../engine/facts.js';
import { findEngine } from '../engine/find.js';
import { readHostRoutes } from '../engine/host-routes.js';
import { HostPaths } from '../host-files/host-paths.js';
import type { EngineFacts, Facts, JudgedRequest, Need, PathFacts } from '../rules/rule.js';
import { isolatingRuntime } from '../rules/runtime.js';
import { AllocatorError } from '../uid-allocator/errors.js';
import { type Ledger, openLedger } from '../uid-allocator/ledger.js';
import type { Caller } from '../uid-allocator/record.js';
import { type Options, socketPath } from './options.js';
import { complain } from './output.js';

export interface ExplainFacts {
  readonly engine: EngineFacts;
  readonly caller: Caller;
  resolve(needs: readonly Need[], request: JudgedRequest): Facts | Promise<Facts>;
  close(): Promise<void>;
}

/** An engine that isn't there: prepared, and with the newest API that the rules were written for. */
const absentEngine: EngineFacts = {
  version: '28.5.2',
  apiVersion: '1.51',
  cgroupVersion: '2',
  dataRoot: '/var/lib/docker',
  preparation: { runtime: true, defaultRuntime: true, builds: true },
};

/** Gathers facts from the engine that the options name or that this host has, else from the host alone. */
export async function explainFacts(options: Options, environment: NodeJS.ProcessEnv): Promise<ExplainFacts> {
  const found = await findEngine({ engine: options.engine, listen: options.listen }, environment);
  const client = found && new EngineClient(found.socket);
  const reachable = client !== undefined && (await client.ping());
  let dataRoot = absentEngine.dataRoot;
  let ledger: Ledger | undefined;
  const hostPaths = new HostPaths(
    () => ({
      stateDir: options.state,
      runDir: options.runDir,
      listen: options.listen.map(socketPath),
      engineSocket: found?.socket ?? '/run/docker.sock',
      dataRoot,
    }),
    (uid) => ledger?.isSubordinate(uid) === true,
  );
  const caller = currentCaller();
  const resolvePath = (path: string, { settings }: JudgedRequest) =>
    hostPaths.lookUp(path, caller, settings.hostFiles, settings.filesharingAllowedDirectories);
  if (client === undefined || !reachable) {
    if (found !== undefined) complain(`the engine can't be asked at ${found.socket}: ${unknown}`);
    const resolve = async (needs: readonly Need[], request: JudgedRequest) =>
      hostFacts(needs, (path) => resolvePath(path, request));
    return { engine: absentEngine, caller, resolve, close: async () => client?.close() };
  }
  const records = readableLedger(options.state);
  ledger = records;
  const source = new FactSource<JudgedRequest>({
    client,
    ledgerRead: (id) => records?.read(id),
    isolatingRuntimes: new Set([isolatingRuntime]),
    resolvePath,
  });
  const engine = await source.engine();
  dataRoot = engine.dataRoot;
  return {
    // Whether the engine is prepared is for `doctor` to say; a request is explained as if it were.
    engine: { ...engine, preparation: { runtime: true, defaultRuntime: true, builds: true } },
    caller,
    resolve: (needs, request) => source.resolve(needs, request),
    close: () => client.close(),
  };
}

/** What an explanation without the engine and the ledger lacks. */
const unknown = 'what hangs on other containers, images, volumes or networks is left out';

/** The ledger; `undefined` for an account that may not read it, which gets what can be said without. */
function readableLedger(stateDir: string): Ledger | undefined {
  try {
    return openLedger(stateDir);
  } catch (error) {
    if (process.geteuid?.() === 0 || !(error instanceof AllocatorError)) throw error;
    complain(`the ledger is for root alone: whose the other containers are is left out`);
    return undefined;
  }
}

function hostFacts(needs: readonly Need[], resolvePath: (path: string) => PathFacts): Facts {
  const paths = new Map<string, PathFacts>();
  for (const need of needs) if (need.kind === 'path') paths.set(need.path, resolvePath(need.path));
  const nothing = () => undefined;
  return {
    container: nothing,
    image: nothing,
    volume: nothing,
    network: nothing,
    exec: nothing,
    path: (path) => paths.get(path),
    hostRoutes: needs.some(({ kind }) => kind === 'host-routes') ? readHostRoutes() : [],
    inSwarm: false,
  };
}

/** Whoever runs the command: under sudo the person behind it, whose request is to be explained. */
function currentCaller(): Caller {
  const sudoUser = process.env['SUDO_USER'];
  const own = {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
  };
  if (own.uid !== 0 || sudoUser === undefined || sudoUser === 'root') return { ...own, pid: process.pid };
  const number = (flag: string) => execFileSync('id', [flag, sudoUser], { encoding: 'utf8' }).trim();
  return {
    uid: Number(number('-u')),
    gid: Number(number('-g')),
    groups: number('-G').split(' ').map(Number),
    pid: process.pid,
  };
}
