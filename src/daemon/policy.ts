/**
 * The policy bundle in the daemon: put in force as it comes, and told of in the log and in the audit.
 */
import type { Logger } from 'pino';
import type { Audit } from '../audit/sink.js';
import { PolicyRefresh } from '../policy/refresh.js';
import type { SettingsHolder } from '../settings/watch.js';

/** How long the first fetch may hold up the start where no bundle is kept from before, in milliseconds. */
const firstFetch = 5_000;

export interface PolicyPlace {
  readonly settings: SettingsHolder;
  readonly stateDir: string;
  readonly audit: Pick<Audit, 'record'>;
  readonly log: Logger;
}

/** Begins to follow the bundle that the settings name; `undefined` when they name none. */
export async function followPolicy(place: PolicyPlace): Promise<PolicyRefresh | undefined> {
  const { settings, stateDir, audit, log } = place;
  const own = settings.file.settings.policy;
  if (own.url === '') return undefined;
  const policy = new PolicyRefresh({
    settings: own,
    stateDir,
    log,
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
    onFailure: (problem) => {
      log.error({ problem }, 'policy bundle not refreshed, what was in force stays');
      audit.record({ event: 'policy.failed', generation: settings.generation, details: [problem] });
    },
  });
  const refreshed = policy.refresh();
  if (policy.state.serial === undefined) {
    await Promise.race([refreshed, new Promise((resolve) => setTimeout(resolve, firstFetch).unref())]);
  }
  return policy;
}
