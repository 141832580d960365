/**
 * The rule `container-names`: no name of four digits or more that begins another container's id. The engine looks
 * for an exact id, then a name, then a prefix (moby daemon, GetContainer): such a name would catch requests meant for
 * the other. Shorter ones pass: with a hundred containers every third name like `db` begins some id by chance.
 */
import { findingsOf } from './finding.js';
import type { Rule } from './rule.js';

const { deny } = findingsOf('container-names');
/** The beginning of an id, long enough to be used as one. */
const prefixOfId = /^[0-9a-f]{4,64}$/;

function nameOf(query: ReadonlyMap<string, readonly string[]>): string {
  return (query.get('name')?.[0] ?? '').replace(/^\//, '');
}

export const containerNames: Rule = {
  id: 'container-names',
  summary: 'A container may not be named like the beginning of another container’s id (four digits or more).',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'container.rename'],
  needs: ({ query }) => (prefixOfId.test(nameOf(query)) ? [{ kind: 'container', ref: nameOf(query) }] : []),
  judge: ({ query }, facts) => {
    const name = nameOf(query);
    const found = prefixOfId.test(name) ? facts.container(name) : undefined;
    if (found === undefined || found.name.replace(/^\//, '') === name) return [];
    return [
      deny('query:name', `the id of the container ${found.name} begins with ${name}`, 'Choose another name.'),
    ];
  },
};
