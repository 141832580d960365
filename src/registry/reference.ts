/**
 * Image references, read exactly as the engine reads them: the grammar of github.com/distribution/reference and
 * moby's way of combining `fromImage` and `tag`. A name that the engine would refuse is refused here too, so that
 * nothing is judged under one meaning and fetched under another. No I/O, no policy.
 */

/** A reference in the engine's normal form. */
export interface Reference {
  /** The domain as the engine keeps it: `docker.io`, `registry.example.com:5000`, `[::1]:5000`, case kept. */
  readonly domain: string;
  /** The repository path, `library/` added for Docker Hub's short names. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** A text that is no reference; the message is the engine's own wording. */
export class ReferenceProblem extends Error {
  readonly code = 'COFFERDAM_REFERENCE_INVALID';
}

const defaultDomain = 'docker.io';
const legacyDefaultDomain = 'index.docker.io';

// The grammar as documented at the top of distribution/reference's reference.go. JavaScript's `$` without the m flag
// matches at the very end only, as Go's does; `\w` is ASCII in both.
const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const host = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])`;
const domainPattern = `${host}(?::[0-9]+)?`;
const pathComponent = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const pathPattern = `${pathComponent}(?:/${pathComponent})*`;
const tagPattern = '\\w[\\w.-]{0,127}';
const digestPattern = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';

const anchoredReference = new RegExp(
  `^(${domainPattern})/(${pathPattern})(?::(${tagPattern}))?(?:@(${digestPattern}))?$`,
);
const anchoredTag = new RegExp(`^${tagPattern}$`);
const identifier = /^[a-f0-9]{64}$/;
/** Algorithms that go-digest knows in dockerd, with the number of hex digits each must have. */
const digestLengths: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);
/** RepositoryNameTotalLengthMax; engines before 24.0 count the domain in, so theirs is never longer than ours. */
const pathLengthMax = 255;
/** No reference is longer (domain 255, path 255, tag 128, digest 135): longer texts don't reach the patterns. */
const textLengthMax = 1024;

/** True for `sha256:<64 hex>` and its siblings: what go-digest's `digest.Parse` takes. */
export function isDigest(text: string): boolean {
  const colon = text.indexOf(':');
  const length = digestLengths.get(text.slice(0, colon));
  const hex = text.slice(colon + 1);
  return length === hex.length && /^[a-f0-9]+$/.test(hex);
}

/** Where the domain ends, as `splitDockerDomain` decides. */
function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf('/');
  if (slash === -1) return { domain: defaultDomain, remainder: `library/${text}` };
  const first = text.slice(0, slash);
  const rest = text.slice(slash + 1);
  let domain = defaultDomain;
  let remainder = text;
  if (first === legacyDefaultDomain) {
    remainder = rest;
  } else if (first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first) {
    domain = first;
    remainder = rest;
  }
  if (domain === defaultDomain && !remainder.includes('/')) remainder = `library/${remainder}`;
  return { domain, remainder };
}

/**
 * Parses a reference and gives its normal form, as `reference.ParseNormalizedNamed` does.
 * @throws ReferenceProblem with the engine's wording.
 */
export function parseReference(text: string): Reference {
  if (identifier.test(text)) {
    throw new ReferenceProblem(
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  }
  if (text.length > textLengthMax) throw new ReferenceProblem('invalid reference format');
  const { domain, remainder } = splitDomain(text);
  const colon = remainder.indexOf(':');
  const remote = colon === -1 ? remainder : remainder.slice(0, colon);
  if (remote.toLowerCase() !== remote) {
    throw new ReferenceProblem(`invalid reference format: repository name (${remote}) must be lowercase`);
  }
  const match = anchoredReference.exec(`${domain}/${remainder}`);
  const [, matchedDomain, path, tag, digest] = match ?? [];
  if (matchedDomain === undefined || path === undefined) {
    throw new ReferenceProblem('invalid reference format');
  }
  if (path.length > pathLengthMax) {
    throw new ReferenceProblem(`repository name must not be more than ${pathLengthMax} characters`);
  }
  if (digest !== undefined && !isDigest(digest)) throw new ReferenceProblem('invalid checksum digest format');
  return {
    domain: matchedDomain,
    path,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

/**
 * The reference that `POST /images/create` pulls: a trailing colon of `fromImage` is dropped, and a `tag` that is a
 * digest replaces the tag (moby, `postImagesCreate`).
 * @throws ReferenceProblem
 */
export function parsePullReference(fromImage: string, tag: string): Reference {
  const reference = parseReference(fromImage.endsWith(':') ? fromImage.slice(0, -1) : fromImage);
  if (tag === '') return reference;
  const { domain, path, digest } = reference;
  if (isDigest(tag)) return { domain, path, digest: tag };
  if (!anchoredTag.test(tag)) throw new ReferenceProblem('invalid tag format');
  return { domain, path, tag, ...(digest !== undefined && { digest }) };
}

/**
 * The reference that `POST /images/{name}/push` pushes; without a tag every tag of the name (moby, `postImagesPush`).
 * @throws ReferenceProblem
 */
export function parsePushReference(name: string, tag: string): Reference {
  const reference = parseReference(name);
  if (tag === '') return reference;
  if (reference.digest !== undefined) throw new ReferenceProblem('cannot push a digest reference');
  if (!anchoredTag.test(tag)) throw new ReferenceProblem('invalid tag format');
  return { domain: reference.domain, path: reference.path, tag };
}

/** The full text in normal form; `latest` is not added. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${reference.domain}/${reference.path}${tag}${digest}`;
}

/** As `reference.TagNameOnly`: `latest` for a name with neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: 'latest' };
}
