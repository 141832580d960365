/**
 * Judges what a build sends or fetches past the source policy: exporters that push, cache imports and exports, and
 * the frontend attributes that name them. Field numbers: buildkit `api/services/control/control.proto`.
 */
import { z } from 'zod';
import type { Settings } from '../../settings/schema.js';
import { judgeRegistry, type RegistryAction } from '../policy.js';
import { parseReference } from '../reference.js';
import { isInnerHost, remoteHost } from '../remote-host.js';
import { exportedNames, isTrustedName, trustsNames } from '../trusted-names.js';
import { type BuildFinding, isolationFinding, registryFinding } from './refusal.js';
import { type WireMessage, WireProblem } from './wire.js';

const listSetting = 'registryAccess.registries';

/** Exporters whose result stays in the engine or goes to the client, unless told to push. */
const knownExporters = new Set(['', 'moby', 'image', 'docker', 'oci', 'local', 'tar']);
/** Caches that stay in the image, in the engine, or with the client. */
const harmlessCaches = new Set(['inline', 'local']);
// strconv.ParseBool's false; everything else, the empty text too, makes the exporter push or fail.
const falseTexts = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** CacheOptions: the deprecated reference lists (1–3), exports and imports. */
const cacheFields = new Set([1, 2, 3, 4, 5]);
/** CacheOptionsEntry: type and attributes. */
const cacheEntryFields = new Set([1, 2]);

type Attributes = readonly (readonly [string, string])[];

/** True while the settings restrict anything about registries. */
export function isRestricted(settings: Settings): boolean {
  return settings.registryAccess.value || settings.imageAccess.value;
}

function finding(text: string): BuildFinding {
  return { text: `registry access: ${text} (setting ${listSetting})`, setting: listSetting };
}

/** A reference that the engine would pull from or push to. */
function judgeName(name: string, action: RegistryAction, settings: Settings): readonly BuildFinding[] {
  try {
    const refusal = judgeRegistry(parseReference(name.trim()), action, settings);
    return refusal === undefined ? [] : [registryFinding(refusal)];
  } catch {
    return [finding(`${JSON.stringify(name)} is no image reference, so it can't be found in the list`)];
  }
}

function values(attributes: Attributes, key: string): readonly string[] {
  return attributes.filter(([name]) => name === key).map(([, value]) => value);
}

/** True for an exporter that would push its image to a registry. */
export function pushes(attributes: Attributes): boolean {
  const wanted = [...values(attributes, 'push'), ...values(attributes, 'push-by-digest')];
  return wanted.some((value) => !falseTexts.has(value));
}

/** One exporter by its type and attributes. */
export function judgeExporter(
  type: string,
  attributes: Attributes,
  settings: Settings,
): readonly BuildFinding[] {
  if (!settings.registryAccess.value) return [];
  if (!knownExporters.has(type)) return [finding(`the exporter ${JSON.stringify(type)} is not known here`)];
  if (!pushes(attributes)) return [];
  const names = values(attributes, 'name').flatMap((value) => value.split(','));
  if (names.length === 0 || names.includes('*')) {
    return [finding('a build that pushes must say the name that it pushes')];
  }
  return names.flatMap((name) => judgeName(name, 'push', settings));
}

/** Exporters that send their result to the client. */
const clientExporters = new Set(['docker', 'oci', 'local', 'tar']);
const imageList = 'enhancedContainerIsolation.dockerSocketMount.imageList';

/** The names that an exporter gives to its image in the engine's store: none that is trusted with the Docker socket. */
export function judgeExportedNames(
  type: string,
  attributes: Attributes,
  settings: Settings,
): readonly BuildFinding[] {
  if (!settings.enhancedContainerIsolation.value || clientExporters.has(type) || !trustsNames(settings))
    return [];
  return exportedNames(attributes)
    .filter((name) => name === '*' || isTrustedName(settings, name))
    .map((name) => ({
      text:
        name === '*'
          ? `enhanced container isolation: a build must say the name of its image while names are trusted with the Docker socket (setting ${imageList})`
          : `enhanced container isolation: the name ${name} is trusted with the Docker socket and can't be given to another image (setting ${imageList}). Choose another name, or pull the image from its registry.`,
      setting: imageList,
    }));
}

/** One entry of a cache list: its type and attributes. */
export function judgeCache(
  type: string,
  attributes: Attributes,
  action: RegistryAction,
  settings: Settings,
): readonly BuildFinding[] {
  if (!isRestricted(settings) || harmlessCaches.has(type)) return [];
  if (type !== 'registry') {
    return settings.registryAccess.value
      ? [finding(`the cache type ${JSON.stringify(type)} reaches a service that is not a registry`)]
      : [];
  }
  const references = values(attributes, 'ref');
  if (references.length === 0) return [finding('a registry cache without a reference')];
  return references.flatMap((reference) => judgeName(reference, action, settings));
}

/** A repeated `CacheOptionsEntry`: type in field 1, attributes in field 2. */
export function judgeCacheEntries(
  entries: readonly WireMessage[],
  action: RegistryAction,
  settings: Settings,
): readonly BuildFinding[] {
  if (!isRestricted(settings)) return [];
  return entries.flatMap((entry) => {
    entry.requireOnly(cacheEntryFields, 'CacheOptionsEntry');
    return judgeCache(entry.text(1), entry.textEntries(2), action, settings);
  });
}

/** The deprecated reference lists and the entry lists of `CacheOptions`. */
export function judgeCacheOptions(options: WireMessage, settings: Settings): readonly BuildFinding[] {
  if (!isRestricted(settings)) return [];
  options.requireOnly(cacheFields, 'control.CacheOptions');
  const exportReference = options.text(1);
  return [
    ...(exportReference === '' ? [] : judgeName(exportReference, 'push', settings)),
    ...options.texts(2).flatMap((reference) => judgeName(reference, 'pull', settings)),
    ...judgeCacheEntries(options.messages(4), 'push', settings),
    ...judgeCacheEntries(options.messages(5), 'pull', settings),
  ];
}

// Go's encoding/json takes `type` and `attrs` in any case; so does this, by refusing every other key.
const cacheImportsSchema = z.array(
  z.strictObject({ Type: z.string().default(''), Attrs: z.record(z.string(), z.string()).nullish() }),
);

function judgeCacheImportsAttribute(text: string, settings: Settings): readonly BuildFinding[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new WireProblem('the attribute cache-imports is not JSON');
  }
  const parsed = cacheImportsSchema.safeParse(value);
  if (!parsed.success) throw new WireProblem('the attribute cache-imports is not a list of cache entries');
  return parsed.data.flatMap(({ Type, Attrs }) =>
    judgeCache(Type, Object.entries(Attrs ?? {}), 'pull', settings),
  );
}

/** Contexts by address: the build's own, and those with names (buildkit frontend/dockerui, `context:NAME`). */
export function judgeContexts(attributes: Attributes, settings: Settings): readonly BuildFinding[] {
  if (!settings.enhancedContainerIsolation.value) return [];
  return attributes
    .filter(([key, value]) => /^context(:|$)/.test(key) && !otherContexts.test(value))
    .filter(([, value]) => isInnerHost(remoteHost(value) ?? ''))
    .map(([, value]) =>
      isolationFinding(
        `the engine would fetch ${value} from the host itself or its inner network`,
        'Use an address out on the network, or send the content yourself.',
      ),
    );
}

/** Contexts that no address is fetched for: images, layouts and folders of the client, other parts of the build. */
const otherContexts = /^((docker-image|oci-layout):\/\/|(local|input|target):)/;

// BuildKit folds the case of what follows the prefix (frontend/attestations, Parse).
const scannerAttribute = /^(?:attest:|build-arg:BUILDKIT_ATTEST_)sbom$/i;
/** The frontend's own image: the engine always asks its registry first, so that being local doesn't count. */
const frontendAttributes = ['source', 'build-arg:BUILDKIT_SYNTAX'] as const;

/** The attributes with which a frontend is told of images, caches and scanners (`dockerui`, `attestations`). */
export function judgeFrontendSources(attributes: Attributes, settings: Settings): readonly BuildFinding[] {
  if (!isRestricted(settings)) return [];
  const from = values(attributes, 'cache-from').flatMap((value) => value.split(','));
  const scanners = attributes
    .filter(([key]) => scannerAttribute.test(key))
    .flatMap(([, value]) => value.split(','))
    .flatMap((field) => /^"?generator=([^"]*)"?$/.exec(field.trim())?.[1] ?? []);
  return [
    ...from.filter((name) => name !== '').flatMap((name) => judgeName(name, 'pull', settings)),
    ...values(attributes, 'cache-imports')
      .filter((text) => text !== '')
      .flatMap((text) => judgeCacheImportsAttribute(text, settings)),
    ...scanners.flatMap((name) => judgeName(name, 'pull', settings)),
    ...frontendAttributes
      .flatMap((key) => values(attributes, key))
      .flatMap((text) => judgeName(text.trim().split(' ')[0] ?? '', 'pull', settings)),
  ];
}
