/**
 * The rule `device-paths`: devices are named by their path in /dev. The engine looks at the path as host root, with
 * whatever links are on the way (moby daemon/pkg/oci/devices_linux.go, daemon/daemon_unix.go): by its answers a caller
 * would learn what is in folders that it can't enter, and get at nodes that only such a folder keeps closed.
 */
import { posix } from 'node:path';
import { isRootCaller } from './callers.js';
import { findingsOf } from './finding.js';
import { listAt, textAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

const { deny } = findingsOf('device-paths');

/** Fields with a device of the host: the list, and the member that names it. */
const fields = [
  ['Devices', 'PathOnHost'],
  ['BlkioWeightDevice', 'Path'],
  ['BlkioDeviceReadBps', 'Path'],
  ['BlkioDeviceWriteBps', 'Path'],
  ['BlkioDeviceReadIOps', 'Path'],
  ['BlkioDeviceWriteIOps', 'Path'],
] as const;

/** Folders below /dev in which everybody can make files and links, or which are the reader's own. */
const notDevices = ['/dev/shm', '/dev/mqueue', '/dev/fd', '/dev/stdin', '/dev/stdout', '/dev/stderr'];

export const devicePaths: Rule = {
  id: 'device-paths',
  summary:
    'Devices of the host, also those that limits are set for, are named by their path in `/dev`; other paths are refused, since the engine would look at them as root. Root callers may name any.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'container.update'],
  judge: (request) => {
    if (isRootCaller(request.caller)) return [];
    const resources = request.route.name === 'container.create' ? '/HostConfig' : '';
    return fields.flatMap(([list, member]) => judgeList(request, `${resources}/${list}`, member));
  },
};

function judgeList(request: JudgedRequest, list: string, member: string): readonly Finding[] {
  return listAt(request.body, list).flatMap((_device, index) => {
    const field = `${list}/${index}/${member}`;
    const path = textAt(request.body, field);
    if (path === '' || isDevicePath(path)) return [];
    const reason = `${path} is no path of a device: the engine would look at it as root`;
    return [deny(field, reason, 'Name the device by its path in /dev.')];
  });
}

function isDevicePath(path: string): boolean {
  if (!`${path}/`.startsWith('/dev/') || posix.normalize(path) !== path) return false;
  return !notDevices.some((other) => path === other || path.startsWith(`${other}/`));
}
