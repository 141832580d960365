/**
 * Images that a registry can be asked about, to learn where it sends its clients: those that clients pull through us,
 * with the credentials that they gave, those that the settings name, and those in the engine's store. Credentials stay
 * in memory, and for as long as a pull takes.
 */
import { enforcedLists } from '../../settings/modes.js';
import type { Settings } from '../../settings/schema.js';
import { addressMatches } from '../address.js';
import { parseReference, type Reference } from '../reference.js';
import type { Authority } from './authority.js';
import { type Credentials, credentialsOf, type Sample, servedBy } from './learner.js';

interface Noted {
  readonly reference: Reference;
  readonly credentials: Credentials | undefined;
  /** In milliseconds since the epoch. */
  readonly at: number;
}

const notedFor = 600_000;
const notedMax = 32;
/** A small official image that Docker Hub has had for ever. */
const hubSample = 'docker.io/library/busybox:latest';

export class Samples {
  readonly #settings: { readonly current: Settings };
  readonly #imageNames: () => Promise<readonly string[]>;
  #noted: readonly Noted[] = [];

  constructor(settings: { readonly current: Settings }, imageNames: () => Promise<readonly string[]>) {
    this.#settings = settings;
    this.#imageNames = imageNames;
  }

  note(reference: Reference, registryAuth: string | undefined): void {
    const credentials = registryAuth === undefined ? undefined : credentialsOf(registryAuth);
    this.#noted = [{ reference, credentials, at: Date.now() }, ...this.#recent()].slice(0, notedMax);
  }

  /** Images of one registry, the most promising first. */
  async of(registry: Authority): Promise<readonly Sample[]> {
    this.#noted = this.#recent();
    const noted = this.#noted.filter(({ reference }) => servedBy(reference, registry));
    const known = [...(await this.#imageNames().catch(() => [])), ...this.#listed(registry), hubSample];
    const references = known
      .flatMap((name) => reference(name) ?? [])
      .filter((one) => servedBy(one, registry));
    return [...noted, ...references.map((one) => ({ reference: one }))];
  }

  #recent(): readonly Noted[] {
    return this.#noted.filter(({ at }) => Date.now() - at < notedFor);
  }

  /** Repositories that the settings name in full. */
  #listed(registry: Authority): readonly string[] {
    const { registries } = enforcedLists(this.#settings.current).registryAccess;
    return registries
      .filter(
        ({ address }) => addressMatches(address, registry.host) || addressMatches(address, registry.key),
      )
      .flatMap(({ address, repositories = [] }) =>
        repositories.filter((glob) => !/[*{]/.test(glob)).map((path) => `${address}/${path}`),
      );
  }
}

function reference(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}
