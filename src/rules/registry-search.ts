/**
 * The rule `registry-search`: a search term of the form `HOST/NAME` makes the engine ask that host (moby
 * registry/search.go, splitReposSearchTerm); it must be listed. Every other term asks Docker Hub.
 */
import { judgeHost } from '../registry/policy.js';
import { queryValue, registryDenial } from './registry-findings.js';
import type { Rule } from './rule.js';

const field = 'query:term';

export const registrySearch: Rule = {
  id: 'registry-search',
  summary: 'Searches reach listed registries only, whichever host the term names.',
  setting: 'registryAccess.registries',
  whenIsolationIsOff: 'judges',
  routes: ['image.search'],
  judge: (request) => {
    if (!request.settings.registryAccess.value) return [];
    const term = queryValue(request, 'term');
    const slash = term.indexOf('/');
    const first = slash === -1 ? '' : term.slice(0, slash);
    const host = /[.:]/.test(first) || first === 'localhost' ? first : 'docker.io';
    const refusal = judgeHost(host, request.settings);
    return refusal === undefined ? [] : [registryDenial('registry-search', field, refusal)];
  },
};
