/** The rule `registry-plugin`: plugins come from listed registries only, whoever may install them. */
import { parseReference } from '../registry/reference.js';
import { judgeReference, queryValue } from './registry-findings.js';
import type { Rule } from './rule.js';

const rule = 'registry-plugin';

export const registryPlugin: Rule = {
  id: 'registry-plugin',
  summary: 'Plugins (`remote`) are pulled from, upgraded from and pushed to listed registries only.',
  setting: 'registryAccess.registries',
  whenIsolationIsOff: 'judges',
  routes: ['plugin.privileges', 'plugin.pull', 'plugin.upgrade', 'plugin.push'],
  judge: (request) => {
    if (request.route.name === 'plugin.push') {
      return judgeReference(rule, 'path', 'push', request, () =>
        parseReference(request.params['name'] ?? ''),
      );
    }
    return judgeReference(rule, 'query:remote', 'pull', request, () =>
      parseReference(queryValue(request, 'remote')),
    );
  },
};
