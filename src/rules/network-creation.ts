/**
 * The rule `network-creation`: networks are bridges of the engine's own. Drivers and options that reach into the host's
 * interfaces or its firewall are refused (moby daemon/libnetwork/drivers/bridge/labels.go).
 */
import { isRootCaller } from './callers.js';
import { findingsOf } from './finding.js';
import { membersAt, pointer, textAt, valueAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

const { deny } = findingsOf('network-creation');
const prefix = 'com.docker.network.';

/** Options that change only the network's own bridge. */
const harmless = new Set([
  `${prefix}driver.mtu`,
  `${prefix}container_iface_prefix`,
  `${prefix}bridge.enable_icc`,
  `${prefix}bridge.host_binding_ipv4`,
  `${prefix}enable_ipv4`,
  `${prefix}enable_ipv6`,
]);
/** Options of overlay networks; encryption is on whatever the value. */
const ofOverlays = new Set(['encrypted', `${prefix}driver.overlay.vxlanid_list`]);
/** Options with some harmless values. */
const harmlessValues: Readonly<Record<string, readonly string[]>> = {
  [`${prefix}bridge.enable_ip_masquerade`]: ['true', '1'],
  [`${prefix}bridge.inhibit_ipv4`]: ['false', '0'],
  [`${prefix}bridge.default_bridge`]: ['false', '0'],
  [`${prefix}bridge.gateway_mode_ipv4`]: ['', 'nat', 'isolated'],
  [`${prefix}bridge.gateway_mode_ipv6`]: ['', 'nat', 'isolated'],
};

export const networkCreation: Rule = {
  id: 'network-creation',
  summary:
    'Networks are bridges with a name of the engine’s choice: `macvlan`, `ipvlan`, plugin drivers, host bridges, routed or unprotected gateways, `ConfigFrom` and foreign IPAM drivers are refused; `overlay` is for root callers.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['network.create'],
  judge: (request) => [...judgeDrivers(request), ...judgeShape(request), ...judgeOptions(request)],
};

function judgeDrivers(request: JudgedRequest): readonly Finding[] {
  const findings: Finding[] = [];
  const driver = textAt(request.body, '/Driver');
  if (driver === 'overlay' && !isRootCaller(request.caller)) {
    const reason =
      'overlay networks reach other machines: making them is for root only, like managing a swarm';
    findings.push(deny('/Driver', reason, 'Use the bridge driver, or ask the administrator.'));
  } else if (!['', 'bridge', 'overlay'].includes(driver)) {
    const reason = `the network driver ${driver} is refused: it works on the host's own interfaces`;
    findings.push(deny('/Driver', reason, 'Use the bridge driver.'));
  }
  const addresses = textAt(request.body, '/IPAM/Driver');
  if (addresses !== '' && addresses !== 'default') {
    findings.push(deny('/IPAM/Driver', `the IPAM driver ${addresses} is refused`, 'Use the default one.'));
  }
  for (const [name] of membersAt(request.body, '/IPAM/Options')) {
    findings.push(
      deny(`/IPAM/Options${pointer(name)}`, `the IPAM option ${name} is refused`, 'Leave it out.'),
    );
  }
  return findings;
}

/** What `docker stack deploy` makes, and `docker network create --driver overlay`. */
function isOverlay(request: JudgedRequest): boolean {
  return textAt(request.body, '/Driver') === 'overlay';
}

function judgeShape(request: JudgedRequest): readonly Finding[] {
  const findings: Finding[] = [];
  const scope = textAt(request.body, '/Scope');
  if (scope !== '' && scope !== (isOverlay(request) ? 'swarm' : 'local')) {
    findings.push(deny('/Scope', `the scope ${scope} is refused`, 'Use a local network.'));
  }
  for (const field of ['/Ingress', '/ConfigOnly']) {
    if (valueAt(request.body, field) === true)
      findings.push(deny(field, 'networks of this kind are refused', 'Leave it out.'));
  }
  const source = textAt(request.body, '/ConfigFrom/Network');
  if (source !== '') {
    const reason = `a configuration taken from the network ${source} can't be judged`;
    findings.push(deny('/ConfigFrom', reason, 'Write the configuration into the request.'));
  }
  return findings;
}

function judgeOptions(request: JudgedRequest): readonly Finding[] {
  return membersAt(request.body, '/Options').flatMap(([name, value]) => {
    const text = typeof value === 'string' ? value : '';
    if (isOverlay(request) && ofOverlays.has(name)) return [];
    if (harmless.has(name) || harmlessValues[name]?.includes(text.toLowerCase())) return [];
    const reason =
      name === `${prefix}bridge.name`
        ? `the bridge name ${text} is refused: it could be a bridge of the host`
        : `the network option ${name}=${text} is refused: it could weaken the host's network`;
    return [deny(`/Options${pointer(name)}`, reason, 'Leave it out.')];
  });
}
