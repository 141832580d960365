/**
 * The daemon: puts the parts together in the order in which they depend on each other, and takes them apart in the
 * reverse one. The clients' socket is opened last and closed first: nobody is served by half a daemon.
 */
import { lstatSync } from 'node:fs';
import type { Logger } from 'pino';
import { type Audit, openAudit } from '../audit/sink.js';
import { ContainerFiles } from '../container-files/container-files.js';
import { countedAudit, Metrics } from '../control/metrics.js';
import { type Control, startControl, startHealthPort } from '../control/server.js';
import type { Status } from '../control/status.js';
import { EngineClient } from '../engine/client.js';
import { FactSource } from '../engine/facts.js';
import { HostPaths } from '../host-files/host-paths.js';
import { Lineage } from '../host-files/lineage.js';
import type { OwnPlaces } from '../host-files/restricted.js';
import type { LookUp } from '../proxy/context.js';
import { type RunningProxy, startProxy } from '../proxy/proxy.js';
import { grpcJudgeFor, streamJudgeFor } from '../registry/judges.js';
import { rules } from '../rules/index.js';
import type { EngineFacts, JudgedRequest } from '../rules/rule.js';
import { isolatingRuntime } from '../rules/runtime.js';
import { pushRefusal } from '../rules/socket-commands.js';
import { serveRuntime } from '../runtime/serve.js';
import { guardVolumes } from '../runtime/volume-guard.js';
import type { SettingsHolder } from '../settings/watch.js';
import { giveBackAfterStart, letHeapGrow } from '../system/heap.js';
import { type Ledger, openLedger } from '../uid-allocator/ledger.js';
import { ContainerSocket } from './container-socket.js';
import { EgressKeeper } from './egress.js';
import type { ChosenEngine } from './engine-choice.js';
import { PolicyFollower } from './policy.js';
import { PreparationWatch } from './preparation.js';
import { Reconciliation } from './reconciliation.js';
import { renewSockets } from './socket-renewal.js';
import { SocketRevocation } from './socket-revocation.js';
import { readMeasured, readReadiness, readStatus, type StatusSources } from './status.js';

export interface DaemonOptions {
  readonly version: string;
  readonly listen: readonly string[];
  /** Descriptors of listening sockets that the supervisor handed over, by their path. */
  readonly activated?: ReadonlyMap<string, number>;
  readonly stateDir: string;
  readonly runDir: string;
  readonly engine: ChosenEngine;
  readonly settings: SettingsHolder;
  readonly log: Logger;
}

/** How long the first look at the engine may take before clients are served all the same, in milliseconds. */
const firstLook = 10_000;

export class Daemon {
  readonly #options: DaemonOptions;
  #dataRoot = '/var/lib/docker';
  readonly #undo: (() => Promise<void> | void)[] = [];
  #sources: StatusSources | undefined;
  #proxy: RunningProxy | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
  }

  /** Starts everything. @throws the first part's error, with what was started before it stopped again */
  async start(): Promise<void> {
    letHeapGrow();
    try {
      await this.#start();
      giveBackAfterStart();
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** The daemon in full. */
  status(): Promise<Status> {
    if (this.#sources === undefined) throw new Error('the daemon is not started');
    return readStatus(this.#sources);
  }

  /**
   * Lets what is under way finish, then stops. Containers go on.
   * @param drainMilliseconds how long requests and streams may take
   */
  async stop(drainMilliseconds: number): Promise<void> {
    await this.#proxy?.close({ drainMilliseconds });
    this.#proxy = undefined;
    for (const undo of this.#undo.splice(0).reverse()) await undo();
  }

  async #start(): Promise<void> {
    const { stateDir, runDir, engine, settings, log } = this.#options;
    const { first, last } = settings.current.uidRanges;
    const ledger = openLedger(stateDir, { pool: { first, last } });
    // Launchers are answered before anything may ask the engine to start a container.
    const metrics = new Metrics(() => this.#measured());
    this.#undo.push(() => metrics.close());
    const runtime = serveRuntime({
      runDir,
      ledger,
      backend: engine.backend.kind,
      log,
      onPrepared: (outcome, milliseconds) => metrics.prepared(outcome, milliseconds),
    });
    this.#undo.push(() => runtime.close());
    const client = new EngineClient(engine.socket);
    this.#undo.push(() => client.close());
    const preparation = new PreparationWatch(engine.socket, engine.launcher, (now) =>
      log.info({ ...now }, 'what the engine isolates has changed'),
    );
    this.#undo.push(() => preparation.close());
    const hostPaths = new HostPaths(
      () => this.#ownPlaces(),
      (uid) => ledger.isSubordinate(uid),
    );
    const containerSocket = new ContainerSocket(stateDir, client, (outcome) =>
      metrics.registryAsked(outcome),
    );
    this.#undo.push(() => containerSocket.close());
    const facts = this.#facts(client, ledger, hostPaths, containerSocket);
    const reconciliation = this.#reconcile(client, ledger, facts, preparation);
    await Promise.race([
      Promise.all([preparation.refresh(), reconciliation.compare()]),
      new Promise((resolve) => setTimeout(resolve, firstLook).unref()),
    ]);
    const lineage = new Lineage(ledger);
    const audit = countedAudit(this.#audit(), metrics);
    this.#undo.push(() => audit.close());
    const policy = new PolicyFollower({ settings, stateDir, audit, metrics, log });
    this.#undo.push(() => policy.close());
    await policy.start();
    const parts = { client, ledger, preparation, reconciliation, policy };
    this.#sources = { ...this.#options, ...describe(engine), ...parts };
    const egress = new EgressKeeper({ settings, stateDir, client, audit, log });
    this.#undo.push(() => egress.close());
    await egress.open();
    this.#proxy = await startProxy({
      listen: [...this.#options.listen, `unix://${containerSocket.path}`],
      activated: this.#options.activated,
      engineSocket: engine.socket,
      settings,
      ledger,
      facts: withPreparation(facts, preparation),
      containerFiles: new ContainerFiles(client, (id) => ledger.read(id)),
      rules,
      hostPaths,
      callerOf: (peer) => lineage.callerOf(peer),
      judgeGrpc: (request, facts) => grpcJudgeFor(request, client, settings, pushRefusal(request, facts)),
      judgeStream: (request, begin) => streamJudgeFor(request, client, begin),
      noteImage: (request, registryAuth) => egress.note(request, registryAuth),
      audit,
      log,
    });
    const proxy = this.#proxy;
    const revocation = new SocketRevocation({
      ...{ settings, audit, log },
      records: () => ledger.survey().containers,
      imageOf: (containerId, now) => containerSocket.judgeContainer(containerId, now),
      disconnect: (containerId, which) => proxy.disconnect(containerId, which),
    });
    this.#undo.push(() => revocation.close());
    const control = await this.#control(this.#proxy, audit, metrics);
    this.#undo.push(() => control.close());
    await this.#healthPort(metrics);
    this.#tellEvents(audit);
    void renewSockets({ client, records: ledger.survey().containers, socket: containerSocket.path, log });
  }

  /** What of the host is the engine's and ours, and so out of every container's reach. */
  #ownPlaces(): OwnPlaces {
    const { stateDir, runDir, listen, engine } = this.#options;
    return {
      stateDir,
      runDir,
      listen: listen.map((address) => address.slice('unix://'.length)),
      engineSocket: engine.socket,
      dataRoot: this.#dataRoot,
    };
  }

  #facts(
    client: EngineClient,
    ledger: Ledger,
    hostPaths: HostPaths,
    containerSocket: ContainerSocket,
  ): FactSource<JudgedRequest> {
    return new FactSource<JudgedRequest>({
      client,
      ledgerRead: (id) => ledger.read(id),
      isolatingRuntimes: new Set([isolatingRuntime]),
      resolvePath: (path, request) => {
        this.#dataRoot = request.engine.dataRoot;
        const { hostFiles, filesharingAllowedDirectories } = request.settings;
        return hostPaths.lookUp(path, request.caller, hostFiles, filesharingAllowedDirectories);
      },
      socketImage: (image, request) => containerSocket.judge(image, request.settings),
      judgedSocketImage: (image, request) => containerSocket.judged(image, request.settings),
    });
  }

  #reconcile(
    client: EngineClient,
    ledger: Ledger,
    facts: FactSource<JudgedRequest>,
    preparation: PreparationWatch,
  ): Reconciliation {
    const reconciliation = new Reconciliation({
      client,
      ledger,
      log: this.#options.log,
      onEvent: (event) => {
        facts.noteEvent(event);
        if (event.Type === 'daemon') preparation.look();
      },
      onGap: () => {
        facts.noteGap();
        preparation.forget();
      },
      onWatching: () => {
        facts.noteWatching();
        void preparation.refresh();
        void this.#guardVolumes(facts);
      },
    });
    reconciliation.start();
    this.#undo.push(() => reconciliation.close());
    return reconciliation;
  }

  /** An engine that was started again may have taken the guard away, while its containers went on. */
  async #guardVolumes(facts: FactSource<JudgedRequest>): Promise<void> {
    const { settings, log } = this.#options;
    if (!settings.current.enhancedContainerIsolation.value) return;
    try {
      guardVolumes((await facts.engine()).dataRoot);
    } catch (error) {
      log.warn({ err: error }, 'the volumes of the engine could not be guarded yet');
    }
  }

  #audit(): Audit {
    const { stateDir, settings, log } = this.#options;
    const { maximumFileMegabytes, keepFiles, journal } = settings.current.audit;
    return openAudit(stateDir, {
      maximumFileBytes: maximumFileMegabytes * 1024 * 1024,
      keepFiles,
      journal,
      onError: (error) => log.error({ err: error }, 'audit records could not be written'),
    });
  }

  /** The control socket belongs to whom the clients' socket belongs. */
  #control(proxy: RunningProxy, audit: Audit, metrics: Metrics): Promise<Control> {
    const { runDir, stateDir, settings } = this.#options;
    const [socket] = proxy.sockets;
    if (socket === undefined) throw new Error('the proxy listens nowhere');
    const { gid, mode } = lstatSync(socket);
    return startControl({
      runDir,
      stateDir,
      settings,
      audit,
      group: gid,
      mode: mode & 0o777,
      status: () => this.status(),
      ready: () => this.#ready(),
      metrics: () => metrics.text(),
    });
  }

  async #healthPort(metrics: Metrics): Promise<void> {
    const address = this.#options.settings.current.metrics.listen;
    if (address === '') return;
    const port = await startHealthPort(address, {
      ready: () => this.#ready(),
      metrics: () => metrics.text(),
    });
    this.#undo.push(() => port.close());
  }

  #measured() {
    if (this.#sources === undefined) throw new Error('the daemon is not started');
    return readMeasured(this.#sources, this.#proxy?.connections ?? {});
  }

  #ready(): Promise<Status['ready']> {
    if (this.#sources === undefined) throw new Error('the daemon is not started');
    return readReadiness(this.#sources);
  }

  #tellEvents(audit: Audit): void {
    const { settings, version } = this.#options;
    audit.record({
      event: 'daemon.started',
      generation: settings.generation,
      details: [`version ${version}`],
    });
    this.#undo.push(() => audit.record({ event: 'daemon.stopped', generation: settings.generation }));
    this.#undo.push(
      settings.onProblem((problem) =>
        audit.record({ event: 'settings.refused', generation: settings.generation, details: [problem] }),
      ),
    );
    this.#undo.push(
      settings.onChange((_now, changes) =>
        audit.record({ event: 'settings.changed', generation: settings.generation, details: [...changes] }),
      ),
    );
  }
}

function describe(engine: ChosenEngine) {
  return { engineAddress: `unix://${engine.socket}`, embedded: engine.embedded, backend: engine.backend };
}

/** The engine's facts with what it would isolate now, made anew only when one of the two has changed. */
function withPreparation(facts: FactSource<JudgedRequest>, preparation: PreparationWatch): LookUp {
  let joined: { readonly of: EngineFacts; readonly by: object; readonly facts: EngineFacts } | undefined;
  const join = (engine: EngineFacts): EngineFacts => {
    const by = preparation.current;
    if (joined?.of !== engine || joined.by !== by)
      joined = { of: engine, by, facts: { ...engine, preparation: by } };
    return joined.facts;
  };
  return {
    engine: () => {
      const engine = facts.engine();
      return engine instanceof Promise ? engine.then(join) : join(engine);
    },
    resolve: (needs, request) => facts.resolve(needs, request),
    stillHold: (found) => facts.stillHold(found),
    changing: (routeName) => facts.changing(routeName),
    noteExec: (execId, containerId) => facts.noteExec(execId, containerId),
  };
}
