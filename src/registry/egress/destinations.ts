/**
 * Where the engine may open connections to: the listed registries, the hosts of listed addresses, and the hosts that
 * listed registries are known to redirect to. Pure but for what the memory of redirects knows.
 */
import { enforcedLists } from '../../settings/modes.js';
import type { Settings } from '../../settings/schema.js';
import { urlPattern, wholeText } from '../glob.js';
import { judgeHost, listsHost, type RegistryRefusal } from '../policy.js';
import { type Authority, literalAddress, looksLikeAddress } from './authority.js';

/**
 * How far a destination is trusted. `everything`: no list is in force. `listed`: the administrator named it, so it may
 * be in a private network. `found`: a registry or a wide pattern led there, so it must be out on the Internet.
 */
export type Trust = 'everything' | 'literal' | 'listed' | 'found';

export type Destination =
  | { readonly allowed: true; readonly trust: Trust; readonly registry: boolean }
  | { readonly allowed: false; readonly refusal: RegistryRefusal };

/** The hosts that listed registries have sent clients to. */
export interface KnownRedirects {
  /** Registries (authority keys) that are known to redirect to a place (authority key). */
  sourcesOf(key: string): readonly string[];
}

export type Scheme = 'http' | 'https';
const ownPort: Readonly<Record<Scheme, number>> = { http: 80, https: 443 };

/** Judges one destination by the settings of this moment. */
export function judgeDestination(
  authority: Authority,
  scheme: Scheme,
  settings: Settings,
  redirects: KnownRedirects,
): Destination {
  const inForce = enforcedLists(settings);
  if (!inForce.registryAccess.value) return { allowed: true, trust: 'everything', registry: false };
  const names = namesOf(authority, scheme);
  const listed = names.map((name) => listsHost(name, inForce.registryAccess)).find(Boolean);
  if (literalAddress(authority) !== undefined || looksLikeAddress(authority)) {
    // `127.1` is an address for a resolver and a name for everybody else.
    const literal = listed === 'exact' && literalAddress(authority) !== undefined;
    return literal ? { allowed: true, trust: 'literal', registry: true } : refused(authority, inForce);
  }
  if (listed !== undefined) return { allowed: true, trust: 'listed', registry: true };
  const named = inForce.registryAccess.urls
    .map((glob) => trustOfUrl(glob, names))
    .filter((trust) => trust !== undefined);
  const [trust] = named.includes('listed') ? (['listed'] as const) : named;
  if (trust !== undefined) return { allowed: true, trust, registry: false };
  if (redirects.sourcesOf(authority.key).some((source) => isListedKey(source, inForce))) {
    return { allowed: true, trust: 'found', registry: false };
  }
  return refused(authority, inForce);
}

/** Whether the registry that an authority key stands for is on the list. */
export function isListedKey(key: string, settings: Settings): boolean {
  const port = Number(/:(\d+)$/.exec(key)?.[1]);
  const host = key.slice(0, key.lastIndexOf(':'));
  const names = port === 443 || port === 80 ? [host, key] : [key];
  return names.some((name) => listsHost(name, settings.registryAccess) !== undefined);
}

/** An entry without a port means the port that the scheme has by itself. */
function namesOf({ host, port, key }: Authority, scheme: Scheme): readonly string[] {
  return port === ownPort[scheme] ? [host, key] : [key];
}

function trustOfUrl(glob: string, names: readonly string[]): Trust | undefined {
  const [, scheme = '', host = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/]+)/.exec(glob) ?? [];
  if (!['http', 'https', 'git+https', 'git+http', 'git'].includes(scheme)) return undefined;
  const pattern = wholeText(urlPattern(`x://${host}`));
  if (!names.some((name) => pattern.test(`x://${name}`))) return undefined;
  const wide = host.split('.').every((label) => /[*{]/.test(label));
  return wide ? 'found' : 'listed';
}

function refused({ host, port }: Authority, settings: Settings): Destination {
  const name = port === 443 ? host : `${host}:${port}`;
  const refusal = judgeHost(name, settings);
  if (refusal !== undefined) return { allowed: false, refusal };
  const text = `registry access to ${name} is not allowed: an address of this form is never connected to`;
  return {
    allowed: false,
    refusal: {
      target: name,
      text,
      setting: 'registryAccess.registries',
      remedy: 'use the name of the registry',
    },
  };
}
