/**
 * The rule `archive-paths`: dockerd reads and writes a container's mounts as host root, whatever namespace the
 * container has (`docker cp`). With host files among them it would go beyond the caller's rights, also by a link inside
 * the container, which may change after it was looked at: so no path of such a container is safe to hand to dockerd.
 * While it runs, the proxy serves it in the container's own view; a stopped one has none.
 */
import { findingsOf } from './finding.js';
import { holdsFiles, namedVolumes } from './other-callers.js';
import type { Need, Rule } from './rule.js';

const { deny } = findingsOf('archive-paths', 'hostFiles');

const elsewhere = "copy within the host's own folder.";

export const archivePaths: Rule = {
  id: 'archive-paths',
  summary:
    '`docker cp` never lets the engine read or write host files that a container has mounted: it works while the container runs, with the container’s own rights.',
  setting: 'hostFiles',
  whenIsolationIsOff: 'rests',
  routes: ['container.archive-info', 'container.archive-get', 'container.archive-put'],
  needs: ({ params }) => [{ kind: 'container', ref: params['id'] ?? '' }],
  furtherNeeds: ({ params }, facts) => {
    const container = facts.container(params['id'] ?? '');
    return container === undefined
      ? []
      : namedVolumes(container).map((name): Need => ({ kind: 'volume', name }));
  },
  judge: ({ params }, facts) => {
    const container = facts.container(params['id'] ?? '');
    if (container === undefined || !holdsFiles(container, facts)) return [];
    // Its own view of its files, with its own root's rights, is there while it runs.
    if (container.running && container.isolated) return [];
    const { name, isolated } = container;
    const reason = `${name} has host files mounted, which the engine would read and write as root`;
    return [
      isolated
        ? deny('query:path', `${reason} while it is stopped`, `Start ${name} first, or ${elsewhere}`)
        : deny('query:path', `${reason}: it isn't isolated`, `Run cofferdam adopt ${name}, or ${elsewhere}`),
    ];
  },
};
