/**
 * The rule `registry-build`: what the parameters of `POST /build` would fetch. The images that a Dockerfile names are
 * judged from the streamed context (src/registry/classic-build.ts).
 * With `version=2` dockerd makes the BuildKit request itself, out of reach of a source policy, so that it is refused
 * while a list is on.
 */
import { parseReference } from '../registry/reference.js';
import { judgeReference, queryValue, restrictsRegistries } from './registry-findings.js';
import type { Denial, Finding, JudgedRequest, Rule } from './rule.js';

const rule = 'registry-build';

export const registryBuild: Rule = {
  id: 'registry-build',
  summary:
    'While a list is on, `POST /build` is refused with `version=2` (use buildx) and with a `remote` context; `cachefrom` names listed images only.',
  setting: 'registryAccess.registries',
  whenIsolationIsOff: 'judges',
  routes: ['image.build'],
  judge: (request) => {
    if (!restrictsRegistries(request)) return [];
    return [...judgeVersion(request), ...judgeRemote(request), ...judgeCache(request)];
  },
};

function judgeVersion(request: JudgedRequest): readonly Finding[] {
  const version = queryValue(request, 'version');
  if (version === '' || version === '1') return [];
  const reason = 'this way to BuildKit can’t be held to the registry list';
  const remedy = 'Build with `docker buildx build`, or with DOCKER_BUILDKIT=0.';
  return [denial('query:version', reason, remedy)];
}

function judgeRemote(request: JudgedRequest): readonly Finding[] {
  const remote = queryValue(request, 'remote');
  if (remote === '') return [];
  const reason = `the images that the remote context ${JSON.stringify(remote)} needs can’t be known beforehand`;
  return [denial('query:remote', reason, 'Clone or download it, and build from the folder.')];
}

function judgeCache(request: JudgedRequest): readonly Finding[] {
  const text = queryValue(request, 'cachefrom');
  // The classic builder takes caches from the store only.
  if (text === '' || request.settings.registryAccess.localImages) return [];
  const names = textList(text);
  if (names === undefined) return [denial('query:cachefrom', 'it is no list of images', 'Use a JSON list.')];
  return names.flatMap((name) =>
    judgeReference(rule, 'query:cachefrom', 'pull', request, () => parseReference(name)),
  );
}

function textList(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (value === null) return [];
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

function denial(field: string, reason: string, remedy: string): Denial {
  return { kind: 'deny', rule, field, reason, setting: 'registryAccess.value', remedy };
}
