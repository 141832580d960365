/**
 * The rule `annotations`: annotations go into the container's OCI specification, and runtimes take orders from some:
 * runc sets systemd properties of the scope from them as root, names a CRIU configuration, crun changes its handler.
 */
import { findingsOf } from './finding.js';
import { membersAt, pointer } from './json-pointer.js';
import type { Rule } from './rule.js';

const { deny } = findingsOf('annotations');
const field = '/HostConfig/Annotations';

/** Namespaces of annotations that a runtime, a shim or a device injector reads. */
const runtimeNamespaces = [
  'org.systemd.',
  'org.criu.',
  'org.opencontainers.runc.',
  'run.oci.',
  'io.containerd.',
  'io.crun.',
  'io.podman.',
  'io.kubernetes.',
  'io.katacontainers.',
  'io.nestybox.',
  'com.nestybox.',
  'com.docker.',
  'cdi.k8s.io',
  'com.nvidia.',
  'dev.gvisor.',
  'module.wasm.',
  'cofferdam.',
  'io.cofferdam.',
];

export const annotations: Rule = {
  id: 'annotations',
  summary: 'Annotations that steer a runtime, a shim or a device injector are refused; others pass.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create'],
  judge: (request) =>
    membersAt(request.body, field)
      .filter(([name]) => runtimeNamespaces.some((prefix) => name.trim().toLowerCase().startsWith(prefix)))
      .map(([name]) =>
        deny(
          field + pointer(name),
          `the annotation ${name} would steer the container's runtime`,
          'Leave it out, or use a label.',
        ),
      ),
};
