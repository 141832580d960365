/**
 * The rule `file-sharing`: where the settings list the folders that may be mounted, nothing else of the host is,
 * whoever owns it. Docker Desktop checks this apart from isolation, and so does this rule.
 */
import { findingsOf, warnInstead } from './finding.js';
import { furtherSourceNeeds, hostSources, sourceNeeds } from './host-sources.js';
import type { Denial, Finding, Rule } from './rule.js';
import { isEngineSocket } from './socket-mounts.js';

const setting = 'filesharingAllowedDirectories';
const { deny } = findingsOf('file-sharing', setting);

export const fileSharing: Rule = {
  id: 'file-sharing',
  summary:
    'Where the settings list folders, only those and what is below them is mounted, whichever field names it; links are followed first. The Docker socket and places that are restricted anyway are other rules’ matter.',
  setting,
  whenIsolationIsOff: 'judges',
  routes: ['container.create', 'volume.create', 'service.create', 'service.update'],
  needs: (request) =>
    request.settings.filesharingAllowedDirectories === undefined ? [] : sourceNeeds(request),
  furtherNeeds: (request, facts) =>
    request.settings.filesharingAllowedDirectories === undefined ? [] : furtherSourceNeeds(request, facts),
  judge: (request, facts) => {
    if (request.settings.filesharingAllowedDirectories === undefined) return [];
    return hostSources(request, facts)
      .filter((source) => !isEngineSocket(source, facts))
      .filter(({ path }) => facts.path(path)?.unshared === true)
      .map(({ field, path }) =>
        deny(
          field,
          `${path} is in none of the folders that may be mounted`,
          `Mount a folder that is listed, or ask your administrators to add it to ${setting}.`,
          {
            text: `mounts denied: The path ${path} is not shared from the host and is not known to Docker. You can configure shared paths in the setting ${setting}.`,
          },
        ),
      )
      .map((denial) => byMode(denial, request.settings.hostFiles.sharingMode));
  },
};

function byMode(denial: Denial, mode: 'enforce' | 'warn'): Finding {
  return mode === 'warn' ? warnInstead(denial, 'hostFiles.sharingMode is "warn"') : denial;
}
