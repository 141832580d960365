/** The rule `registry-push`: images are pushed to listed registries and repositories only. */
import { parsePushReference } from '../registry/reference.js';
import { judgeReference, queryValue } from './registry-findings.js';
import type { Rule } from './rule.js';

export const registryPush: Rule = {
  id: 'registry-push',
  summary: 'Pushes reach listed registries and repositories only.',
  setting: 'registryAccess.registries',
  whenIsolationIsOff: 'judges',
  routes: ['image.push'],
  judge: (request) =>
    judgeReference('registry-push', 'path', 'push', request, () =>
      parsePushReference(request.params['name'] ?? '', queryValue(request, 'tag')),
    ),
};
