/**
 * Makes the settings that hold out of their sources: the administrator's file, a policy bundle, and what a user
 * chose where both leave it open. Pure.
 */
import type { IsolationChoice } from './choice.js';
import type { Settings } from './schema.js';

/** Sections that are about this host alone: no bundle changes them. */
const hostSections: ReadonlySet<string> = new Set([
  'configurationFileVersion',
  'audit',
  'metrics',
  'policy',
  'shutdown',
]);

/** Sections without a lock of their own, and the section whose lock covers them. */
const coveredBy: Readonly<Record<string, string>> = {
  existingContainers: 'enhancedContainerIsolation',
  filesharingAllowedDirectories: 'hostFiles',
};

/** What a bundle or a file says about sections: its own keys only, and complete settings made of them. */
export interface SettingsSource {
  readonly settings: Settings;
  readonly written: Readonly<Record<string, unknown>>;
}

function isLocked(settings: Settings, section: string): boolean {
  const value: unknown = Reflect.get(settings, coveredBy[section] ?? section);
  return isObject(value) && value['locked'] === true;
}

/** The local settings with every section of the bundle that they don't lock. */
function withBundle(local: Settings, bundle: SettingsSource | undefined): Settings {
  if (bundle === undefined) return local;
  const names = Object.keys(bundle.written).filter(
    (name) => name in local && !hostSections.has(name) && !isLocked(local, name),
  );
  return Object.freeze({
    ...local,
    ...Object.fromEntries(names.map((name) => [name, Reflect.get(bundle.settings, name)])),
  });
}

/**
 * The settings in force. Precedence, highest first: a local lock, the bundle, the local value; last the user's choice
 * about isolation, which counts only where neither of them locks it.
 */
export function composeSettings(
  local: Settings,
  choice: IsolationChoice | undefined,
  bundle?: SettingsSource,
): Settings {
  const settings = withBundle(local, bundle);
  const isolation = settings.enhancedContainerIsolation;
  if (choice === undefined || isolation.locked || choice.value === isolation.value) return settings;
  return { ...settings, enhancedContainerIsolation: { ...isolation, value: choice.value } };
}

function shown(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What differs between two settings, a line for each key: `hostFiles.rootCallers: "owner" → "deny"`. */
export function describeChanges(before: unknown, after: unknown, prefix = ''): string[] {
  if (isObject(before) && isObject(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) =>
      describeChanges(before[name], after[name], prefix === '' ? name : `${prefix}.${name}`),
    );
  }
  const [old, now] = [shown(before), shown(after)];
  return old === now ? [] : [`${prefix}: ${old} → ${now}`];
}

/** The keys of the sections that are locked. */
export function lockedSections(settings: Settings): string[] {
  return Object.entries<unknown>(settings)
    .filter(([, section]) => isObject(section) && section['locked'] === true)
    .map(([name]) => name);
}
