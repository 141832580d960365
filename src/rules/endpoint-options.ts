/**
 * The rule `endpoint-options`: what a container asks of a network it joins. Addresses and aliases are the network's own
 * affair; driver options are carried out by the engine as root, so only the ones for the container's side pass.
 */
import { findingsOf } from './finding.js';
import { listAt, membersAt, pointer } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

const { deny } = findingsOf('endpoint-options');

/** Carried out inside the container's network namespace (moby daemon/libnetwork/netlabel). */
const harmless = ['com.docker.network.endpoint.sysctls', 'com.docker.network.endpoint.ifname'];

export const endpointOptions: Rule = {
  id: 'endpoint-options',
  summary: 'Driver options of a container’s endpoints pass when they stay inside its network namespace.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'network.connect', 'service.create', 'service.update'],
  judge: (request) => optionFields(request).flatMap((field) => judgeOptions(request, field)),
};

function optionFields(request: JudgedRequest): readonly string[] {
  switch (request.route.name) {
    case 'container.create':
      return membersAt(request.body, '/NetworkingConfig/EndpointsConfig').map(
        ([name]) => `/NetworkingConfig/EndpointsConfig${pointer(name)}/DriverOpts`,
      );
    case 'network.connect':
      return ['/EndpointConfig/DriverOpts'];
    default:
      return ['/TaskTemplate/Networks', '/Networks'].flatMap((list) =>
        listAt(request.body, list).map((_network, index) => `${list}/${index}/DriverOpts`),
      );
  }
}

function judgeOptions(request: JudgedRequest, field: string): readonly Finding[] {
  return membersAt(request.body, field)
    .filter(([name]) => !harmless.includes(name))
    .map(([name]) => deny(field + pointer(name), `the endpoint option ${name} is refused`, 'Leave it out.'));
}
