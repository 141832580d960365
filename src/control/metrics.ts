/**
 * Prometheus metrics of the daemon, served on the control socket. Requests are counted from their audit records,
 * so that the two never disagree; everything else is read when somebody asks. Labels are route names and
 * verdicts: never names, ids or addresses, which have no bound.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import type { AuditRecord } from '../audit/record.js';
import type { Audit } from '../audit/sink.js';
import { BucketHistogram, type BucketHistogramOptions } from './bucket-histogram.js';

/** What is read when the metrics are asked for. */
export interface MeasuredState {
  readonly ranges: { readonly inUse: number; readonly free: number };
  readonly settingsGeneration: number;
  /** False while the newest settings file can't be used. */
  readonly settingsCurrent: boolean;
  readonly isolation: boolean;
  readonly ready: boolean;
  /** Clients' connections by what they are used for. */
  readonly connections: Readonly<Record<string, number>>;
  /** Since the policy bundle was last confirmed; absent without one. */
  readonly policyAgeSeconds?: number;
}

type RequestRecord = Extract<AuditRecord, { event: 'request' }>;

/** From a cached answer to a long pull, in seconds. Streams are as long as their clients want. */
const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
const phaseNames = ['read', 'judge', 'carry'] as const;
const nanosecondsPerSecond = 1e9;
/** How often the event loop is looked at, in milliseconds. */
const sampleEvery = 20;

/** The requests of one route. */
interface RouteTallies {
  readonly duration: Tally['duration'];
  readonly byVerdict: Map<string, Tally>;
}

/** Those of them that ended the same way. */
interface Tally {
  readonly route: string;
  readonly verdict: string;
  readonly duration: { observe(seconds: number): void };
  /** Those that the counter wasn't told of yet: it hashes its labels at every call. */
  untold: number;
}

export class Metrics {
  private readonly registry = new Registry();
  private readonly requests = new Counter({
    name: 'cofferdam_requests_total',
    help: 'Requests by route and verdict.',
    labelNames: ['route', 'verdict'],
    registers: [this.registry],
  });
  private readonly durations = this.histogram({
    name: 'cofferdam_request_duration_seconds',
    help: 'From the first byte of a request to the last of its answer.',
    labelNames: ['route'],
    buckets: durationBuckets,
  });
  private readonly refusals = new Counter({
    name: 'cofferdam_refusals_total',
    help: 'Refusals by rule.',
    labelNames: ['rule'],
    registers: [this.registry],
  });
  private readonly warned = new Counter({
    name: 'cofferdam_warned_requests_total',
    help: 'Requests that were allowed with a warning, by route.',
    labelNames: ['route'],
    registers: [this.registry],
  });
  private readonly rangesInUse = this.gauge(
    'cofferdam_ranges_in_use',
    'Ranges of ids that belong to a container.',
  );
  private readonly rangesFree = this.gauge('cofferdam_ranges_free', 'Ranges of ids that are left.');
  private readonly generation = this.gauge(
    'cofferdam_settings_generation',
    'Counts the changes of the settings since the start.',
  );
  private readonly current = this.gauge(
    'cofferdam_settings_current',
    '1 while the newest settings file is in force.',
  );
  private readonly isolation = this.gauge(
    'cofferdam_isolation_enabled',
    '1 while new containers are isolated.',
  );
  private readonly ready = this.gauge(
    'cofferdam_ready',
    '1 while the daemon can protect what it is asked for.',
  );
  private readonly connections = new Gauge({
    name: 'cofferdam_client_connections',
    help: 'Open connections of clients by use: idle, request, stream (events, logs, stats), tunnel (attach, exec, BuildKit).',
    labelNames: ['use'],
    registers: [this.registry],
  });
  private readonly phases = this.histogram({
    name: 'cofferdam_request_phase_seconds',
    help: 'What of a request each phase took: read, judge, carry (the engine and its answer).',
    labelNames: ['phase'],
    buckets: durationBuckets,
  });
  private readonly phaseChildren = phaseNames.map(
    (name) => [name, this.phases.series({ phase: name })] as const,
  );
  private readonly preparations = this.histogram({
    name: 'cofferdam_runtime_preparation_seconds',
    help: "Preparing a container's start, by outcome: prepared or refused.",
    labelNames: ['outcome'],
    buckets: durationBuckets,
  });
  private readonly registryRefreshes = new Counter({
    name: 'cofferdam_registry_refreshes_total',
    help: 'How often registries were asked about listed images, by outcome: answered or failed.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  private readonly policyRefreshes = new Counter({
    name: 'cofferdam_policy_refreshes_total',
    help: 'How often the policy bundle was asked for, by outcome: taken, unchanged or failed.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  private readonly policyAge = this.gauge(
    'cofferdam_policy_age_seconds',
    'Since the policy bundle was last confirmed; 0 where none is configured.',
  );
  private readonly resident = this.gauge('cofferdam_resident_memory_bytes', 'Resident memory of the daemon.');
  private readonly started = this.gauge(
    'cofferdam_start_time_seconds',
    'When the daemon was started, since the epoch.',
  );
  private readonly delay = new Gauge({
    name: 'cofferdam_event_loop_delay_seconds',
    help: 'How late the event loop was since the last reading.',
    labelNames: ['quantile'],
    registers: [this.registry],
  });
  private readonly eventLoop = monitorEventLoopDelay({ resolution: sampleEvery });
  private readonly tallies = new Map<string, RouteTallies>();
  private readonly preparationOutcomes = {
    prepared: this.preparations.series({ outcome: 'prepared' }),
    refused: this.preparations.series({ outcome: 'refused' }),
  };

  constructor(private readonly state: () => Promise<MeasuredState>) {
    this.eventLoop.enable();
  }

  /** Counts one request. */
  observe(record: RequestRecord): void {
    const tally = this.tally(record.route ?? 'none', record.verdict);
    tally.untold += 1;
    tally.duration.observe(record.milliseconds / 1000);
    const { phases } = record;
    if (phases !== undefined)
      for (const [name, child] of this.phaseChildren) child.observe(phases[name] / 1000);
    if (record.verdict !== 'denied' && (record.warnings ?? []).length > 0)
      this.warned.labels(tally.route).inc();
    if (record.verdict === 'denied') for (const rule of record.rules ?? []) this.refusals.labels(rule).inc();
  }

  /** Counts a preparation of the runtime. */
  prepared(outcome: 'prepared' | 'refused', milliseconds: number): void {
    this.preparationOutcomes[outcome].observe(milliseconds / 1000);
  }

  /** Counts a question to a registry. */
  registryAsked(outcome: 'answered' | 'failed'): void {
    this.registryRefreshes.labels(outcome).inc();
  }

  /** Counts a refresh of the policy bundle. */
  policyRefreshed(outcome: 'taken' | 'unchanged' | 'failed'): void {
    this.policyRefreshes.labels(outcome).inc();
  }

  /** The metrics in Prometheus' text format. */
  async text(): Promise<string> {
    await this.read();
    return this.registry.metrics();
  }

  close(): void {
    this.eventLoop.disable();
  }

  private tally(route: string, verdict: RequestRecord['verdict']): Tally {
    let ofRoute = this.tallies.get(route);
    if (ofRoute === undefined) {
      ofRoute = { duration: this.durations.series({ route }), byVerdict: new Map() };
      this.tallies.set(route, ofRoute);
    }
    let tally = ofRoute.byVerdict.get(verdict);
    if (tally === undefined) {
      tally = { route, verdict, duration: ofRoute.duration, untold: 0 };
      ofRoute.byVerdict.set(verdict, tally);
    }
    return tally;
  }

  private histogram(options: BucketHistogramOptions): BucketHistogram {
    const histogram = new BucketHistogram(options);
    this.registry.registerMetric(histogram);
    return histogram;
  }

  private gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.registry] });
  }

  private async read(): Promise<void> {
    for (const { byVerdict } of this.tallies.values()) {
      for (const tally of byVerdict.values()) {
        this.requests.labels(tally.route, tally.verdict).inc(tally.untold);
        tally.untold = 0;
      }
    }
    const state = await this.state();
    this.rangesInUse.set(state.ranges.inUse);
    this.rangesFree.set(state.ranges.free);
    this.generation.set(state.settingsGeneration);
    this.current.set(state.settingsCurrent ? 1 : 0);
    this.isolation.set(state.isolation ? 1 : 0);
    this.ready.set(state.ready ? 1 : 0);
    for (const [use, count] of Object.entries(state.connections)) this.connections.labels(use).set(count);
    this.policyAge.set(state.policyAgeSeconds ?? 0);
    this.resident.set(process.memoryUsage.rss());
    this.started.set(Math.round(performance.timeOrigin / 1000));
    for (const quantile of [50, 99]) {
      // Node.js measures from one tick to the next: what is left without the interval is the delay.
      const seconds = this.eventLoop.percentile(quantile) / nanosecondsPerSecond - sampleEvery / 1000;
      this.delay.labels(`0.${quantile}`).set(Math.max(0, seconds));
    }
    this.eventLoop.reset();
  }
}

/** An audit log that counts what it records. */
export function countedAudit(audit: Audit, metrics: Metrics): Audit {
  return {
    record: (record) => {
      audit.record(record);
      if (record.event === 'request') metrics.observe(record);
    },
    close: () => audit.close(),
  };
}
