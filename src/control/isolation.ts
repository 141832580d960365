/**
 * Switching isolation on and off where the administrator left it open. Every attempt leaves an audit record.
 */
import type { Audit } from '../audit/sink.js';
import { removeChoice, writeChoice } from '../settings/choice.js';
import type { SettingsHolder } from '../settings/watch.js';
import type { Caller } from '../uid-allocator/record.js';

export interface SwitchOutcome {
  readonly switched: boolean;
  readonly message: string;
}

/** What switching needs of the daemon. */
export interface SwitchPlace {
  readonly settings: SettingsHolder;
  readonly audit: Audit;
  readonly stateDir: string;
}

/** The file that locks isolation, or the policy bundle that does where the file doesn't. */
export function lockedIn({ file }: Pick<SettingsHolder, 'file'>): string {
  return file.settings.enhancedContainerIsolation.locked ? file.path : file.settings.policy.url;
}

/**
 * Takes a caller's choice: `true`, `false`, or `undefined` to go back to what the settings say.
 * A lock refuses it; nothing else that a user can reach changes isolation.
 */
export function switchIsolation(
  place: SwitchPlace,
  caller: Caller,
  value: boolean | undefined,
): SwitchOutcome {
  const { settings, audit } = place;
  const wanted = value === undefined ? 'default' : value ? 'on' : 'off';
  if (settings.current.enhancedContainerIsolation.locked || caller.container !== undefined) {
    const message =
      caller.container === undefined
        ? `enhanced container isolation is locked by the administrator (enhancedContainerIsolation.locked in ${lockedIn(settings)})`
        : 'enhanced container isolation can not be switched from inside a container';
    audit.record({
      event: 'isolation.refused',
      caller,
      generation: settings.generation,
      details: [`wanted: ${wanted}`],
    });
    return { switched: false, message };
  }
  if (value === undefined) removeChoice(place.stateDir);
  else writeChoice(place.stateDir, { value, uid: caller.uid, at: Date.now() });
  settings.reload();
  audit.record({
    event: 'isolation.switched',
    caller,
    generation: settings.generation,
    details: [`wanted: ${wanted}`],
  });
  const now = settings.current.enhancedContainerIsolation.value;
  return {
    switched: true,
    message: now
      ? 'enhanced container isolation is on: new containers are isolated'
      : 'enhanced container isolation is off: new containers are NOT isolated; those that run stay as they are',
  };
}
