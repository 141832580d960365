/**
 * What warns instead of refusing, for trying it out. It is a closed list: the lists of what may be fetched, shared,
 * published and asked for over a granted socket, and single rules that the administrator names. Isolation itself has no
 * such mode, nor what the runtime holds to in any case: that is switched off as a whole, or not at all. Pure.
 */
import type { Settings } from './schema.js';

const sections = ['registryAccess', 'imageAccess', 'blockDockerLoad'] as const;

/** A refusal, as far as its mode is concerned. */
interface Refused {
  readonly rule: string;
  readonly setting: string;
  readonly status?: number;
}

/** Who asks: a container over its granted socket, or somebody on the host. */
interface Asking {
  readonly container?: string | undefined;
}

/**
 * Why a refusal is to be a warning; `undefined` when it stays a refusal. A request that is malformed always is: nobody
 * can say what it would do.
 */
export function warnedBecause(settings: Settings, refused: Refused, caller: Asking): string | undefined {
  const { rule, setting, status = 403 } = refused;
  if (status !== 403) return undefined;
  const section = sections.find((name) => setting === name || setting.startsWith(`${name}.`));
  if (section !== undefined) return settings[section].mode === 'warn' ? 'its mode is "warn"' : undefined;
  const { warn, warnAtRiskOfRoot } = settings.enhancedContainerIsolation;
  if (warn.some((name) => name === rule)) return `enhancedContainerIsolation.warn lists ${rule}`;
  if (caller.container !== undefined || !warnAtRiskOfRoot.some((name) => name === rule)) return undefined;
  return `enhancedContainerIsolation.warnAtRiskOfRoot lists ${rule}`;
}

/** The keys of everything that only warns, for people. */
export function warningKeys(settings: Settings): string[] {
  const { warn, warnAtRiskOfRoot, dockerSocketMount } = settings.enhancedContainerIsolation;
  const { commandList, perImage } = dockerSocketMount;
  const modes = [
    ...[...sections, 'portBindingBehavior' as const].map((name) => [`${name}.mode`, settings[name].mode]),
    ['hostFiles.sharingMode', settings.hostFiles.sharingMode],
    ['commandList.mode', commandList.mode],
    ...perImage.map((entry) => [`commandList.mode of ${entry.image}`, entry.commandList.mode]),
  ];
  return [
    ...modes.flatMap(([key, mode]) => (mode === 'warn' && key !== undefined ? [key] : [])),
    ...warn.map((rule) => `rule ${rule}`),
    ...warnAtRiskOfRoot.map((rule) => `rule ${rule} (at risk of root)`),
  ];
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
