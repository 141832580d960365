/**
 * The rule `port-bindings`: on which addresses of the host ports are published, as Docker Desktop's setting has it. An
 * address that the engine can't read counts as none: it would publish on every address (moby
 * daemon/container_operations.go, net.ParseIP).
 */
import { isIP, isIPv4 } from 'node:net';
import { findingsOf, warnInstead } from './finding.js';
import { listAt, membersAt, pointer, textAt, valueAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

const setting = 'portBindingBehavior';
const { deny, set, warn } = findingsOf('port-bindings', setting);

const loopback = '127.0.0.1';
const bindings = '/HostConfig/PortBindings';
const everyPort = '/HostConfig/PublishAllPorts';
const servicePorts = '/EndpointSpec/Ports';

export const portBindings: Rule = {
  id: 'port-bindings',
  summary:
    'Where the settings say so, ports are published on 127.0.0.1: where the client names no address, or always. What can have no address of its own (`--publish-all`, ports of services) is refused then. With its mode `warn` both are only told.',
  setting,
  whenIsolationIsOff: 'judges',
  routes: ['container.create', 'service.create', 'service.update'],
  judge: (request) => {
    const { value, mode } = request.settings.portBindingBehavior;
    if (value === 'default-port-binding') return [];
    const always = value === 'local-only-port-binding';
    const found =
      request.route.name === 'container.create'
        ? judgeContainer(request, always)
        : judgeService(request, always);
    return mode === 'warn' ? found.map(onlyTold) : found;
  },
};

/** Here a change takes something away as a refusal does: neither happens while the setting is tried out. */
function onlyTold(finding: Finding): Finding {
  const because = 'its mode is "warn"';
  if (finding.kind === 'deny') return warnInstead(finding, because);
  if (finding.kind !== 'set') return finding;
  const reason = `the port would be published on ${loopback} alone (${setting}); left as it is, because ${because}`;
  return warn(finding.field, reason);
}

function judgeContainer({ body }: JudgedRequest, always: boolean): readonly Finding[] {
  const all = valueAt(body, everyPort) === true ? [refuseAll()] : [];
  const sets = membersAt(body, bindings).flatMap(([port]) => {
    const place = bindings + pointer(port);
    return listAt(body, place).flatMap((_, index) => {
      const field = `${place}/${index}/HostIp`;
      const address = textAt(body, field);
      const stays = always ? isLoopback(address) : isAddress(address);
      return stays ? [] : [set(field, loopback, `the port is published on ${loopback}`)];
    });
  });
  return [...all, ...sets];
}

function refuseAll(): Finding {
  return deny(
    everyPort,
    'publishing every port would open them on every address of the host',
    `Publish single ports with -p; they are published on ${loopback}.`,
  );
}

/** A service's ports are open on every address of every node: only who asks for just that may have it. */
function judgeService({ body }: JudgedRequest, always: boolean): readonly Finding[] {
  if (!always || listAt(body, servicePorts).length === 0) return [];
  return [
    deny(
      servicePorts,
      'the ports of a service would be open on every address of the host',
      'Leave them out, or publish ports of a container.',
    ),
  ];
}

/** Go reads no zones (`fe80::1%eth0`), Node.js does. */
function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

function isLoopback(text: string): boolean {
  return (isIPv4(text) && text.startsWith('127.')) || text === '::1';
}
