/**
 * A container with a user namespace of its own can't share namespaces with the host: what it could do there would
 * be nothing, and what it could see too much. The texts are those that Docker users know from Sysbox.
 */
import { RuntimeRefusal } from '../refusal.js';
import type { Edit } from './edit.js';

/** OCI name → the name in the message. */
const required = new Map([
  ['mount', 'mount'],
  ['pid', 'pid'],
  ['ipc', 'ipc'],
  ['uts', 'uts'],
]);
const because = 'with the host (because they use the linux user-namespace for isolation)';
const prefix =
  "error in the container spec: invalid or unsupported container spec: sysbox containers can't share";

export const hostNamespaces: Edit = {
  name: 'host-namespaces',
  apply(specification) {
    const present = new Set(specification.linux.namespaces.map((namespace) => namespace.type));
    const missing = [...required].filter(([type]) => !present.has(type)).map(([, name]) => name);
    if (missing.length > 0) throw hostShared(`${prefix} namespaces [${missing.join(' ')}] ${because}`);
    if (!present.has('network')) throw hostShared(`${prefix} a network namespace ${because}`);
  },
};

function hostShared(message: string): RuntimeRefusal {
  return new RuntimeRefusal('COFFERDAM_RUNTIME_REFUSED', message);
}
