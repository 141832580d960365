/**
 * The rules in the order in which they are reported. A rule that isn't in this list judges nothing.
 */

import { administration } from './administration.js';
import { annotations } from './annotations.js';
import { archivePaths } from './archive-paths.js';
import { buildOptions } from './build-options.js';
import { containerNames } from './container-names.js';
import { devicePaths } from './device-paths.js';
import { deviceRequests } from './device-requests.js';
import { endpointOptions } from './endpoint-options.js';
import { enginePreparation } from './engine-preparation.js';
import { existingContainers } from './existing-containers.js';
import { fileSharing } from './file-sharing.js';
import { hostMounts } from './host-mounts.js';
import { hostNamespaces } from './host-namespaces.js';
import { hostResources } from './host-resources.js';
import { joinedContainers } from './joined-containers.js';
import { logDrivers } from './log-drivers.js';
import { mountSources } from './mount-sources.js';
import { networkCreation } from './network-creation.js';
import { otherCallers } from './other-callers.js';
import { portBindings } from './port-bindings.js';
import { processLists } from './process-lists.js';
import { registryRules } from './registry-rules.js';
import { remoteAddresses } from './remote-addresses.js';
import type { Rule } from './rule.js';
import { runtime } from './runtime.js';
import { runtimeSwitches } from './runtime-switches.js';
import { seccompListeners } from './seccomp-listeners.js';
import { services } from './services.js';
import { socketCommands } from './socket-commands.js';
import { socketHolders } from './socket-holders.js';
import { socketMounts } from './socket-mounts.js';
import { subnets } from './subnets.js';
import { sysctls } from './sysctls.js';
import { trustedNames } from './trusted-names.js';
import { userNamespace } from './user-namespace.js';
import { volumeDrivers } from './volume-drivers.js';
import { workingDirectories } from './working-directories.js';

export const rules: readonly Rule[] = [
  enginePreparation,
  runtime,
  userNamespace,
  hostNamespaces,
  joinedContainers,
  existingContainers,
  otherCallers,
  socketCommands,
  socketMounts,
  socketHolders,
  hostMounts,
  mountSources,
  fileSharing,
  volumeDrivers,
  archivePaths,
  processLists,
  annotations,
  runtimeSwitches,
  workingDirectories,
  seccompListeners,
  logDrivers,
  hostResources,
  sysctls,
  devicePaths,
  deviceRequests,
  networkCreation,
  subnets,
  endpointOptions,
  portBindings,
  services,
  administration,
  containerNames,
  trustedNames,
  buildOptions,
  remoteAddresses,
  ...registryRules,
];
