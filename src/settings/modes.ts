/**
 * Sections that can warn instead of refusing, for trying a list out. Only lists of what may be fetched can: isolation
 * itself has no such mode, because what it refuses would make a caller root. Pure.
 */
import type { Settings } from './schema.js';

const sections = ['registryAccess', 'imageAccess', 'blockDockerLoad'] as const;

/** True when a refusal by a setting (`registryAccess.registries`) is to be a warning. */
export function warnsOnly(settings: Settings, setting: string): boolean {
  const section = sections.find((name) => setting === name || setting.startsWith(`${name}.`));
  return section !== undefined && settings[section].mode === 'warn';
}

const enforced = new WeakMap<Settings, Settings>();

/**
 * The settings without the sections that only warn: for doors that can refuse and not warn, which are builds. The
 * same object for the same settings.
 */
export function enforcedLists(settings: Settings): Settings {
  if (!sections.some((name) => settings[name].mode === 'warn')) return settings;
  const known = enforced.get(settings);
  if (known !== undefined) return known;
  const off = sections.filter((name) => settings[name].mode === 'warn');
  const made = {
    ...settings,
    ...Object.fromEntries(off.map((name) => [name, { ...settings[name], value: false }])),
  };
  enforced.set(settings, made);
  return made;
}
