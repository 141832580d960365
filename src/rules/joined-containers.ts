/**
 * The rule `joined-containers`: namespaces, volumes and links are shared among isolated containers only. A container
 * that isn't isolated would lend what it has of the host: its pid namespace may be the host's (`PidMode: host`
 * laundered through `container:X`).
 */
import { type ContainerReference, containerReferences } from './container-references.js';
import { findingsOf } from './finding.js';
import { textAt } from './json-pointer.js';
import type { ContainerFacts, Facts, Finding, JudgedRequest, Need, Rule } from './rule.js';

const { deny, set } = findingsOf('joined-containers');

export const joinedContainers: Rule = {
  id: 'joined-containers',
  summary:
    'Namespaces, `VolumesFrom` and `Links` may name isolated containers only; the engine gets their full ids. `HostConfig.Cgroup` is refused.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create'],
  needs: (request) =>
    containerReferences(request)
      .filter(({ reference }) => reference !== '')
      .map(({ reference }): Need => ({ kind: 'container', ref: reference })),
  judge: (request, facts) => [
    ...containerReferences(request).flatMap((reference) => judgeReference(reference, facts)),
    ...judgeCgroup(request),
  ],
};

function judgeReference(reference: ContainerReference, facts: Facts): readonly Finding[] {
  const { field } = reference;
  const found = reference.reference === '' ? undefined : facts.container(reference.reference);
  if (found === undefined) {
    const text = `No such container: ${reference.reference}`;
    // Not 404: a client would take the image for missing, and pull it (moby#39823).
    return [deny(field, text, 'Name a container that exists.', { status: 400, text })];
  }
  if (!found.isolated || sharesHostNamespace(found)) {
    return [
      deny(
        field,
        `${what(reference)} ${found.name} is refused: that container isn't isolated`,
        `Make it isolated first: cofferdam adopt ${found.name}.`,
      ),
    ];
  }
  return [set(field, reference.rewritten(found.id), `${reference.reference} is named by its full id`)];
}

function what({ purpose }: ContainerReference): string {
  if (purpose === 'namespace') return 'joining a namespace of';
  return purpose === 'volumes' ? 'taking over the volumes of' : 'a link to';
}

/** True when the container itself stands in a namespace of the host, whatever the ledger says of it. */
function sharesHostNamespace(container: ContainerFacts): boolean {
  return [container.pidMode, container.ipcMode, container.utsMode, container.networkMode].includes('host');
}

/** `Cgroup` takes `container:X` only, and nothing that anybody uses sends it (moby hostconfig.go, CgroupSpec). */
function judgeCgroup(request: JudgedRequest): readonly Finding[] {
  const field = '/HostConfig/Cgroup';
  if (textAt(request.body, field) === '') return [];
  return [deny(field, "joining another container's cgroup is refused", 'Leave it out.')];
}
