/**
 * The rule `trusted-names`: an image name that the settings trust with the Docker socket stands for what its registry
 * serves. Nothing made here may take it: no tag, commit, import or build.
 */
import { exportedNames, isTrustedName } from '../registry/trusted-names.js';
import { buildOutputs } from './build-outputs.js';
import { findingsOf } from './finding.js';
import type { Denial, JudgedRequest, Rule } from './rule.js';

const setting = 'enhancedContainerIsolation.dockerSocketMount.imageList';
const { deny } = findingsOf('trusted-names', setting);

export const trustedNames: Rule = {
  id: 'trusted-names',
  summary:
    'Image names on the list of those that may mount the Docker socket can’t be given to other images by `tag`, `commit`, `import` or `build`; archives for `load` are read for them while they stream.',
  setting,
  whenIsolationIsOff: 'rests',
  routes: ['image.tag', 'image.commit', 'image.pull', 'image.build'],
  judge: (request) =>
    givenNames(request)
      .filter(({ name }) => isTrustedName(request.settings, name))
      .map(({ field, name }) => refusal(field, name)),
};

/** The names of a build: its tags, and with BuildKit those of its exporters. */
function buildNames(request: JudgedRequest): readonly GivenName[] {
  const tags = (request.query.get('t') ?? []).filter(Boolean).map((name) => ({ field: 'query:t', name }));
  const exported = buildOutputs(request).flatMap(({ attributes }) => exportedNames(attributes));
  return [...tags, ...exported.map((name) => ({ field: 'query:outputs', name }))];
}

interface GivenName {
  readonly field: string;
  readonly name: string;
}

/** The names that the request gives to an image made or found here. */
function givenNames(request: JudgedRequest): readonly GivenName[] {
  const { query } = request;
  const value = (name: string) => query.get(name)?.[0] ?? '';
  if (request.route.name === 'image.build') return buildNames(request);
  // A pull brings what the registry serves: that is what the name is trusted for.
  if (request.route.name === 'image.pull' && value('fromSrc') === '') return [];
  const repository = value('repo');
  const tag = value('tag');
  return repository === ''
    ? []
    : [{ field: 'query:repo', name: tag === '' ? repository : `${untagged(repository)}:${tag}` }];
}

/** A tag of its own takes the place of what the name brings along (moby httputils, RepoTagReference). */
function untagged(repository: string): string {
  const name = repository.split('@', 1)[0] ?? '';
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

function refusal(field: string, name: string): Denial {
  return deny(
    field,
    `the name ${name} is trusted with the Docker socket and can't be given to another image`,
    'Choose another name, or pull the image from its registry.',
  );
}
