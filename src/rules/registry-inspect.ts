/** The rule `registry-inspect`: `GET /distribution/{name}/json` lets the engine ask listed registries only. */
import { parseReference } from '../registry/reference.js';
import { judgeReference } from './registry-findings.js';
import type { Rule } from './rule.js';

export const registryInspect: Rule = {
  id: 'registry-inspect',
  summary: 'Looking up an image in its registry (`/distribution`) reaches listed registries only.',
  setting: 'registryAccess.registries',
  whenIsolationIsOff: 'judges',
  routes: ['distribution.inspect'],
  judge: (request) =>
    judgeReference('registry-inspect', 'path', 'pull', request, () =>
      parseReference(request.params['name'] ?? ''),
    ),
};
