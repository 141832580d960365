/** The edits in their order: what is refused comes first, so that a refused container changes nothing. */
import { annotations } from './annotations.js';
import { cgroupNamespace } from './cgroup-namespace.js';
import { deviceBinds } from './device-binds.js';
import type { Edit } from './edit.js';
import { hooks } from './hooks.js';
import { hostNamespaces } from './host-namespaces.js';
import { mountFlags } from './mount-flags.js';
import { mountSources } from './mount-sources.js';
import { pingGroupRange } from './ping-group-range.js';
import { rootFolder } from './root-folder.js';
import { runtimeSwitches } from './runtime-switches.js';
import { userNamespace } from './user-namespace.js';

/** What is looked at before anything is made for a container. */
export const checks: readonly Edit[] = [hostNamespaces, hooks, annotations];

/** What is written into its specification. */
export const edits: readonly Edit[] = [
  userNamespace,
  cgroupNamespace,
  rootFolder,
  mountSources,
  mountFlags,
  deviceBinds,
  pingGroupRange,
];

/** With Sysbox as the backend: it makes everything but the range and the binds of host paths itself. */
export const sysboxEdits: readonly Edit[] = [runtimeSwitches, userNamespace, mountSources, mountFlags];
