/**
 * The rule `runtime-switches`: Sysbox reads switches from the container's environment, the image's own included, and
 * some turn id shifting or checks off. Unknown ones keep a container from starting.
 */
import { placesOf } from './body-places.js';
import { findingsOf } from './finding.js';
import { textAt, textsAt } from './json-pointer.js';
import type { Facts, Finding, JudgedRequest, Need, Rule } from './rule.js';

const { deny } = findingsOf('runtime-switches');
const prefix = 'SYSBOX_';
const remedy = 'Leave the variable out.';

export const runtimeSwitches: Rule = {
  id: 'runtime-switches',
  summary:
    '`SYSBOX_*` variables are refused in a container’s, a service’s and an exec’s environment, and in the image’s own.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'exec.create', 'service.create', 'service.update'],
  needs: imageNeeds,
  judge: (request, facts) => [...judgeRequest(request), ...judgeImage(request, facts)],
};

function imageReference(request: JudgedRequest): string {
  const field = placesOf(request).image;
  return field === undefined ? '' : textAt(request.body, field);
}

function imageNeeds(request: JudgedRequest): readonly Need[] {
  const ref = imageReference(request);
  return ref === '' ? [] : [{ kind: 'image', ref }];
}

function judgeRequest(request: JudgedRequest): readonly Finding[] {
  const field = placesOf(request).environment;
  return textsAt(request.body, field)
    .filter(([, entry]) => entry.startsWith(prefix))
    .map(([index, entry]) =>
      deny(`${field}/${index}`, `${nameOf(entry)} is a switch of the runtime`, remedy),
    );
}

function judgeImage(request: JudgedRequest, facts: Facts): readonly Finding[] {
  const reference = imageReference(request);
  const field = placesOf(request).image;
  if (reference === '' || field === undefined) return [];
  return (facts.image(reference)?.env ?? [])
    .filter((entry) => entry.startsWith(prefix))
    .map((entry) =>
      deny(
        field,
        `the image sets ${nameOf(entry)}, a switch of the runtime`,
        'Use an image without that variable.',
      ),
    );
}

function nameOf(entry: string): string {
  return entry.split('=', 1)[0] ?? entry;
}
