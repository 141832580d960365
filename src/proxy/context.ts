/**
 * What the spine works with: the parts that live as long as the proxy, handed in from outside.
 */
import type { Logger } from 'pino';
import type { Audit } from '../audit/sink.js';
import type { ContainerFiles } from '../container-files/container-files.js';
import type { HostPaths } from '../host-files/host-paths.js';
import type { GrpcJudge } from '../registry/buildkit/grpc-judge.js';
import type { StreamJudge } from '../registry/stream-judge.js';
import type { EngineFacts, Facts, JudgedRequest, Need, Rule } from '../rules/rule.js';
import type { SettingsHolder } from '../settings/watch.js';
import type { Ledger } from '../uid-allocator/ledger.js';
import type { EnginePool } from './engine-pool.js';
import type { VolumeTurns } from './volume-turns.js';

/** Where facts about the engine and its objects come from. Both fail when the engine is away. */
export interface LookUp {
  /** What the engine can do; known without waiting once it was reached. */
  engine(): EngineFacts | Promise<EngineFacts>;
  /** The facts that the rules asked for, looked up side by side; at once when all of them are known. */
  resolve(needs: readonly Need[], request: JudgedRequest): Facts | Promise<Facts>;
  /** Whether the facts of an earlier request would be the same again; absent where that can't be told. */
  stillHold?(facts: Facts): boolean;
  /**
   * A request of this route is about to be sent: what it may change isn't remembered until it has ended.
   * @returns to be called when the request, or the tunnel that it became, has ended
   */
  changing(routeName: string): () => void;
  /** The engine made an exec in a container. Both are full ids. */
  noteExec(execId: string, containerId: string): void;
}

export interface ProxyContext {
  readonly pool: EnginePool;
  readonly settings: Pick<SettingsHolder, 'current' | 'generation'>;
  readonly facts: LookUp;
  readonly rules: readonly Rule[];
  /** Makes the sources of bind mounts that aren't there yet; absent, the rules' refusal stands. */
  readonly hostPaths?: Pick<HostPaths, 'make'> | undefined;
  /** Serves the files of running isolated containers; absent, the engine does it alone. */
  readonly containerFiles?: ContainerFiles | undefined;
  /** Keeps what volumes are from changing between their look-up and their use. */
  readonly volumeTurns: VolumeTurns;
  readonly ledger: Pick<Ledger, 'intend' | 'settle' | 'abandon' | 'read'>;
  readonly audit: Pick<Audit, 'record'>;
  readonly log: Pick<Logger, 'error' | 'warn' | 'info'>;
  /** The judge of one connection's BuildKit calls. */
  readonly judgeGrpc: (request: JudgedRequest, facts: Facts) => GrpcJudge;
  /**
   * The judge of a request's body as it streams; undefined for bodies that pass untouched.
   * @param begin how the body begins, where somebody waited for that
   */
  readonly judgeStream?: ((request: JudgedRequest, begin?: Buffer) => StreamJudge | undefined) | undefined;
  /** Told of an allowed pull or push, with the client's `X-Registry-Auth`. */
  readonly noteImage?: ((request: JudgedRequest, registryAuth: string | undefined) => void) | undefined;
  /** True once the proxy is stopping. */
  readonly draining: boolean;
}
