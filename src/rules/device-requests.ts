/**
 * The rule `device-requests`: a CDI specification may add any mount and any hook that runs as root, so CDI devices pass
 * only when the administrator lists them. Requests for GPUs by capability pass: their nodes are open to everybody.
 */
import { containerRoutes } from './body-places.js';
import { findingsOf } from './finding.js';
import { listAt, textAt, textsAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

const setting = 'deviceRequests.allow';
const { deny } = findingsOf('device-requests', setting);
const list = '/HostConfig/DeviceRequests';

/** Drivers of the engine itself, and what may be asked of them (moby daemon/nvidia_linux.go). */
const drivers = ['', 'nvidia', 'amd'];
const capabilities = [
  'gpu',
  'nvidia',
  'amd',
  'compute',
  'compat32',
  'graphics',
  'utility',
  'video',
  'display',
  'ngx',
];

export const deviceRequests: Rule = {
  id: 'device-requests',
  summary: 'CDI devices are refused unless the setting lists them; GPUs by capability (`--gpus`) pass.',
  setting,
  whenIsolationIsOff: 'rests',
  routes: containerRoutes.filter((name) => name === 'container.create'),
  judge: (request) =>
    listAt(request.body, list).flatMap((_value, index) => judgeRequest(request, `${list}/${index}`)),
};

function judgeRequest(request: JudgedRequest, field: string): readonly Finding[] {
  const driver = textAt(request.body, `${field}/Driver`);
  const ids = textsAt(request.body, `${field}/DeviceIDs`).map(([, id]) => id);
  // A device's full CDI name works without naming the driver in newer engines.
  const named = driver === 'cdi' ? ids : ids.filter((id) => id.includes('='));
  const refused = named.filter((id) => !request.settings.deviceRequests.allow.includes(id));
  const remedy = 'Let the administrator list the device, or use --device for nodes that everybody may open.';
  if (refused.length > 0 || (driver === 'cdi' && ids.length === 0)) {
    const reason = `the CDI device ${refused.join(', ') || 'request'} is not among the allowed ones`;
    return [deny(field, reason, remedy)];
  }
  if (driver === 'cdi') return [];
  if (!drivers.includes(driver))
    return [deny(`${field}/Driver`, `the device driver ${driver} is refused`, remedy)];
  const asked = listAt(request.body, `${field}/Capabilities`).flatMap((group) =>
    Array.isArray(group) ? group : [],
  );
  const unknown = asked.find((name) => typeof name === 'string' && !capabilities.includes(name));
  if (unknown === undefined) return [];
  return [deny(`${field}/Capabilities`, `the device capability ${String(unknown)} is refused`, remedy)];
}
