/**
 * The rule `sysctls`: only those that belong to a namespace of the container (runc libcontainer/configs/validate).
 */
import { containerRoutes, placesOf } from './body-places.js';
import { findingsOf } from './finding.js';
import { membersAt, pointer } from './json-pointer.js';
import type { Rule } from './rule.js';

const { deny } = findingsOf('sysctls');

const ofIpcNamespace = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);
const ofUtsNamespace = 'kernel.domainname';
const prefixes = ['net.', 'fs.mqueue.'];

export const sysctls: Rule = {
  id: 'sysctls',
  summary: 'Sysctls of the container’s own namespaces pass; those of the host are refused.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: containerRoutes,
  judge: (request) => {
    const field = placesOf(request).sysctls ?? '';
    return membersAt(request.body, field)
      .filter(([name]) => !isNamespaced(name))
      .map(([name]) =>
        deny(
          field + pointer(name),
          `the sysctl ${name} belongs to the host`,
          'Use sysctls of net, fs.mqueue or SysV IPC.',
        ),
      );
  },
};

function isNamespaced(name: string): boolean {
  // Names with interfaces in them are written with slashes instead of dots.
  const dotted = name.includes('/') ? name.replaceAll('/', '.') : name;
  if (!/^[A-Za-z0-9_.-]+$/.test(dotted) || dotted.includes('..')) return false;
  return (
    ofIpcNamespace.has(dotted) ||
    dotted === ofUtsNamespace ||
    prefixes.some((prefix) => dotted.startsWith(prefix))
  );
}
