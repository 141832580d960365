/**
 * The rule `existing-containers`: what may be done with containers that were made without isolation, before cofferdam
 * came or past it. The setting decides; Docker Desktop lets them run as they were made.
 */
import { findingsOf } from './finding.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';
import {
  furtherTouchedNeeds,
  type TouchedContainer,
  touchedContainers,
  touchedNeeds,
  workingRoutes,
} from './touched-containers.js';

const setting = 'existingContainers';
const { deny, warn } = findingsOf('existing-containers', setting);

export const existingContainers: Rule = {
  id: 'existing-containers',
  summary:
    'Starting, entering, reading out and changing containers that aren’t isolated is allowed, warned about or refused, as the setting says.',
  setting,
  whenIsolationIsOff: 'rests',
  // Renaming changes nothing that isolation is about.
  routes: workingRoutes.filter((name) => name !== 'container.rename'),
  needs: touchedNeeds,
  furtherNeeds: furtherTouchedNeeds,
  judge: (request, facts) =>
    touchedContainers(request, facts)
      .filter(({ container }) => !container.isolated)
      .flatMap((touched) => judgeContainer(request, touched)),
};

function judgeContainer(request: JudgedRequest, { field, container }: TouchedContainer): readonly Finding[] {
  const verdict = request.settings.existingContainers;
  if (verdict === 'allow') return [];
  const reason = `the container ${container.name} isn't isolated: it runs with ${container.runtime || 'the engine’s runtime'}`;
  if (verdict === 'warn') return [warn(field, reason)];
  return [
    deny(field, reason, `Make it isolated without losing anything: cofferdam adopt ${container.name}.`),
  ];
}
