/**
 * The policy bundle in the daemon: put in force as it comes, and told of in the log, in the audit and in the metrics.
 * When the local file names another address or key, the bundle from there takes the old one's place.
 */
import type { Logger } from 'pino';
import type { Audit } from '../audit/sink.js';
import type { Metrics } from '../control/metrics.js';
import { PolicyRefresh, type PolicyState } from '../policy/refresh.js';
import type { Settings } from '../settings/schema.js';
import type { SettingsHolder } from '../settings/watch.js';

/** How long the first fetch may hold up the start where no bundle is kept from before, in milliseconds. */
const firstFetch = 5_000;

export interface PolicyPlace {
  readonly settings: SettingsHolder;
  readonly stateDir: string;
  readonly audit: Pick<Audit, 'record'>;
  readonly metrics: Pick<Metrics, 'policyRefreshed'>;
  readonly log: Logger;
}

export class PolicyFollower {
  readonly #place: PolicyPlace;
  #own: Settings['policy'];
  #refresh: PolicyRefresh | undefined;
  #problem: string | undefined;
  readonly #forget: () => void;

  constructor(place: PolicyPlace) {
    this.#place = place;
    this.#own = place.settings.file.settings.policy;
    this.#refresh = this.#open();
    this.#forget = place.settings.onChange(() => this.#changed());
  }

  /** How the bundle stands; `undefined` where none is configured. */
  get state(): PolicyState | undefined {
    if (this.#problem !== undefined) return { url: this.#own.url, problem: this.#problem, overdue: true };
    return this.#refresh?.state;
  }

  /** Fetches for the first time; waits for it only where no bundle is kept from before, and not for long. */
  async start(): Promise<void> {
    const refreshed = this.#refresh?.refresh();
    if (refreshed === undefined || this.state?.serial !== undefined) return;
    await Promise.race([refreshed, new Promise((resolve) => setTimeout(resolve, firstFetch).unref())]);
  }

  async close(): Promise<void> {
    this.#forget();
    await this.#refresh?.close();
  }

  #changed(): void {
    const { settings, log } = this.#place;
    const now = settings.file.settings.policy;
    if (JSON.stringify(now) === JSON.stringify(this.#own)) return;
    this.#own = now;
    void this.#refresh?.close();
    // Until another source has sent its first bundle, the old one's stays in force: nothing is loosened meanwhile.
    if (now.url === '') settings.dropBundle();
    log.info({ url: now.url }, 'the policy bundle is fetched by other settings from now on');
    this.#refresh = this.#open();
    void this.#refresh?.refresh();
  }

  #open(): PolicyRefresh | undefined {
    this.#problem = undefined;
    if (this.#own.url === '') return undefined;
    try {
      return this.#make();
    } catch (error) {
      // Certificates that are not there, for one: a bundle that can't be fetched must not go unseen.
      this.#problem = error instanceof Error ? error.message : String(error);
      this.#failed(this.#problem);
      this.#place.metrics.policyRefreshed('failed');
      return undefined;
    }
  }

  #make(): PolicyRefresh {
    const { settings, stateDir, audit, metrics, log } = this.#place;
    return new PolicyRefresh({
      settings: this.#own,
      stateDir,
      log,
      onRefresh: (outcome) => metrics.policyRefreshed(outcome),
      onBundle: ({ serial, settings: bundle }) => {
        for (const warning of bundle.warnings)
          log.warn({ key: warning.key }, `policy bundle: ${warning.message}`);
        settings.takeBundle(bundle);
        log.info({ serial }, 'policy bundle in force');
        audit.record({
          event: 'policy.refreshed',
          generation: settings.generation,
          details: [`bundle ${serial}`],
        });
      },
      onFailure: (problem) => this.#failed(problem),
    });
  }

  #failed(problem: string): void {
    const { settings, audit, log } = this.#place;
    log.error({ problem }, 'policy bundle not refreshed, what was in force stays');
    audit.record({ event: 'policy.failed', generation: settings.generation, details: [problem] });
  }
}
