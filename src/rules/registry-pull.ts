/**
 * The rule `registry-pull`: images are pulled from listed registries and repositories only. The engine reads a tag
 * that is a digest as one, and drops a colon at the end of the name (moby, postImagesCreate): so does this.
 */
import { parsePullReference } from '../registry/reference.js';
import { judgeReference, queryValue } from './registry-findings.js';
import type { Rule } from './rule.js';

export const registryPull: Rule = {
  id: 'registry-pull',
  summary: 'Pulls (`fromImage` with `tag`) reach listed registries, repositories and Docker Hub images only.',
  setting: 'registryAccess.registries',
  whenIsolationIsOff: 'judges',
  routes: ['image.pull'],
  judge: (request) => {
    const name = queryValue(request, 'fromImage');
    if (name === '') return [];
    return judgeReference('registry-pull', 'query:fromImage', 'pull', request, () =>
      parsePullReference(name, queryValue(request, 'tag')),
    );
  },
};
