/**
 * BuildKit's own source policy, made from the registry settings: it is appended to the Solve request, hangs on the
 * job, and holds for everything that the build fetches, whichever frontend asks. The last rule that matches decides.
 * Source of the message and its field numbers: buildkit `sourcepolicy/pb/policy.proto`; of how rules are matched:
 * `sourcepolicy/{engine,matcher}.go`.
 */
import { randomBytes } from 'node:crypto';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { RegistryEntry, Settings } from '../../settings/schema.js';
import { addressMatches, normaliseAddress } from '../address.js';
import { quotePattern, repositoryPattern, urlPattern } from '../glob.js';
import { imageAccessRepository, repositoryGlobs } from '../policy.js';
import { formatReference, parseReference, withDefaultTag } from '../reference.js';

type Action = 'allow' | 'deny' | 'convert';

/** A condition on an attribute of the source; an absent attribute is the empty text. */
interface Constraint {
  readonly key: string;
  readonly condition: 'not-equal' | 'matches';
  readonly value: string;
}

interface SourceRule {
  readonly action: Action;
  /** A regular expression of Go over the source's identifier; it states its own anchors. */
  readonly pattern: string;
  readonly constraints?: readonly Constraint[];
  /** Attributes that a `convert` sets; the source stays. */
  readonly attributes?: Readonly<Record<string, string>>;
}

const hubDomain = '(?i:docker\\.io|index\\.docker\\.io|registry-1\\.docker\\.io)';
const tagAndDigest =
  '(?::[0-9A-Za-z_][0-9A-Za-z_.-]{0,127})?(?:@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,})?';

function domainPattern(address: string): string {
  const normal = normaliseAddress(address);
  if (normal === undefined) return '[^\\s\\S]';
  if (normal === 'docker.io') return hubDomain;
  const body = normal.split('*').map(quotePattern).join('[a-z0-9_-]+(?:\\.[a-z0-9_-]+)*');
  return `(?i:${body})`;
}

function imageRule(domain: string, repository: string): SourceRule {
  return { action: 'allow', pattern: `^docker-image://${domain}/(?:${repository})${tagAndDigest}$` };
}

/** The part of a repository glob that lies inside one organisation of Docker Hub, or undefined when none does. */
function within(glob: string, organization: string): string | undefined {
  const [first = '', ...rest] = glob.split('/');
  if (first === '**') return [organization, '**', ...rest].join('/');
  const matches = new RegExp(`^(?:${repositoryPattern(first)})$`).test(organization);
  return matches && rest.length > 0 ? [organization, ...rest].join('/') : undefined;
}

/** Globs of Docker Hub repositories that both the registry list and the image list allow. */
function hubGlobs(globs: readonly string[], settings: Settings): readonly string[] {
  if (!settings.imageAccess.value) return globs;
  return settings.imageAccess.allow.flatMap((allowed) => {
    if (allowed.startsWith('repositories:')) {
      const path = imageAccessRepository(allowed.slice('repositories:'.length));
      if (path === undefined) return [];
      return globs.some((glob) => new RegExp(`^(?:${repositoryPattern(glob)})$`).test(path)) ? [path] : [];
    }
    const organization = allowed === 'officialImages' ? 'library' : allowed.slice('organizations:'.length);
    return globs.flatMap((glob) => within(glob, organization) ?? []);
  });
}

function entryRules(domain: string, entry: RegistryEntry, settings: Settings): readonly SourceRule[] {
  if (!entry.allow.includes('pull')) return [];
  const globs = repositoryGlobs(entry) ?? ['**'];
  const effective = domain === hubDomain ? hubGlobs(globs, settings) : globs;
  return effective.map((glob) => imageRule(domain, repositoryPattern(glob)));
}

const onHub = `^docker-image://${hubDomain}/`;
/** What a pattern of an entry may match as a text, and doesn't mean: IP addresses (`isAddressLiteral`), and Docker Hub. */
const noWildcard: readonly SourceRule[] = [
  { action: 'deny', pattern: '^docker-image://(?:\\[|[0-9.]+(?::[0-9]+)?/|0[xX])' },
  { action: 'deny', pattern: onHub },
];

/** Docker Hub is meant by a wildcard that stands for `docker.io`, with whichever of its names. */
function wildcardRules(entries: readonly RegistryEntry[], settings: Settings): readonly SourceRule[] {
  if (entries.length === 0) return [];
  const hub = entries.filter(({ address }) => addressMatches(address, 'docker.io'));
  return [
    ...entries.flatMap((entry) => entryRules(domainPattern(entry.address), entry, settings)),
    ...noWildcard,
    ...hub.flatMap((entry) => entryRules(hubDomain, entry, settings)),
  ];
}

function registryRules(settings: Settings): readonly SourceRule[] {
  if (settings.registryAccess.value) {
    const { registries } = settings.registryAccess;
    const exact = registries.filter(({ address }) => !address.includes('*'));
    return [
      ...wildcardRules(
        registries.filter(({ address }) => address.includes('*')),
        settings,
      ),
      ...exact.flatMap((entry) => entryRules(domainPattern(entry.address), entry, settings)),
    ];
  }
  // Only the image list is on: it knows Docker Hub alone, so every other registry stays open.
  return [
    { action: 'allow', pattern: '^docker-image://' },
    { action: 'deny', pattern: onHub },
    ...hubGlobs(['**'], settings).map((glob) => imageRule(hubDomain, repositoryPattern(glob))),
  ];
}

function urlRules(settings: Settings): readonly SourceRule[] {
  if (!settings.registryAccess.value) return [{ action: 'allow', pattern: '^(?:https?|git)://' }];
  return settings.registryAccess.urls.flatMap((glob) => {
    const url = urlPattern(glob);
    const rules: SourceRule[] = [{ action: 'allow', pattern: `^${url}$` }];
    if (glob.startsWith('https://')) {
      // A Git source is named `git://HOST/PATH#REF:FOLDER` whatever its transport; what is fetched is the attribute
      // git.fullurl where it is set, so both must be listed.
      rules.push({
        action: 'allow',
        pattern: `^${urlPattern(glob.replace(/^https:/, 'git:'))}(?:#.*)?$`,
        constraints: [{ key: 'git.fullurl', condition: 'matches', value: `^(?:${url})?$` }],
      });
    }
    return rules;
  });
}

// `pull` always asks the registry, and with the containerd image store `default` asks it first.
const localConstraints: readonly Constraint[] = [
  { key: 'image.resolvemode', condition: 'not-equal', value: 'pull' },
  { key: 'image.resolvemode', condition: 'not-equal', value: 'default' },
];

// Build contexts and frontends leave the mode out, which means `default`.
const fromStore = { 'image.resolvemode': 'local' } as const;

/**
 * A local image is allowed by its exact name and is looked for in the store first: by any other digest the engine would
 * ask the registry.
 */
function localImageRules(names: readonly string[]): readonly SourceRule[] {
  return names.flatMap((name) => {
    try {
      const text = formatReference(withDefaultTag(parseReference(name)));
      const pattern = `^docker-image://${quotePattern(text)}$`;
      return [
        { action: 'allow', pattern, constraints: localConstraints },
        { action: 'convert', pattern, constraints: localConstraints, attributes: fromStore },
      ] as const;
    } catch {
      return [];
    }
  });
}

/** Everything that a build may fetch by the settings; what no rule allows is denied. */
function sourceRules(settings: Settings, localImages: readonly string[]): readonly SourceRule[] {
  return [
    { action: 'deny', pattern: '^' },
    { action: 'allow', pattern: '^(?:local|oci-layout)://' },
    ...urlRules(settings),
    ...registryRules(settings),
    ...localImageRules(localImages),
  ];
}

const actionNumbers: Record<Action, number> = { allow: 0, deny: 1, convert: 2 };
/** What the pattern matched, which is the whole source: for Go's ReplaceAllString. */
const unchanged = '$0';
const matchRegex = 2;
const conditionNumbers: Record<Constraint['condition'], number> = { 'not-equal': 1, matches: 2 };

function writeRule(writer: BinaryWriter, rule: SourceRule, mark: string): void {
  writer.tag(2, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.Varint).int32(actionNumbers[rule.action]);
  writer.tag(2, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(`${rule.pattern}${mark}`);
  writer.tag(2, WireType.Varint).int32(matchRegex);
  for (const { key, condition, value } of rule.constraints ?? []) {
    writer.tag(3, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key);
    writer.tag(2, WireType.LengthDelimited).string(value);
    writer.tag(3, WireType.Varint).int32(conditionNumbers[condition]);
    writer.join();
  }
  writer.join();
  if (rule.attributes !== undefined) writeUpdates(writer, rule.attributes);
  writer.join();
}

function writeUpdates(writer: BinaryWriter, attributes: Readonly<Record<string, string>>): void {
  writer.tag(3, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(unchanged);
  for (const [key, value] of Object.entries(attributes)) {
    writer.tag(2, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key);
    writer.tag(2, WireType.LengthDelimited).string(value);
    writer.join();
  }
  writer.join();
}

/**
 * The serialised `moby.buildkit.v1.sourcepolicy.Policy`.
 *
 * Every identifier ends in a random mark that matches the empty text. BuildKit caches selectors by match type and
 * identifier alone (`selectorCache` in sourcepolicy/engine.go): a client that guessed an identifier could put a rule
 * of the same name before ours, with a constraint that never holds, and ours would be judged by that constraint.
 */
export function sourcePolicy(settings: Settings, localImages: readonly string[]): Uint8Array {
  const secret = randomBytes(16).toString('hex');
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int64(1);
  for (const [index, rule] of sourceRules(settings, localImages).entries()) {
    writeRule(writer, rule, `(?:${secret}${index}){0}`);
  }
  return writer.finish();
}
