/**
 * Prepares a bundle for its backend: THE SPINE of the runtime. Everything is decided before anything is made, and
 * a failure at any step leaves nothing behind and starts nothing. It needs root, and Linux 5.19 or later.
 */
import { processIdentity } from '../system/process-identity.js';
import { closeBinds, lockedFlags, mountBinds } from './bind-mounts.js';
import { readBundle, writeBundle } from './bundle.js';
import { delegateCgroups, removeEmpty, wantsDelegation } from './cgroup-delegation.js';
import { bindRenamedDevices } from './device-nodes.js';
import type { EditContext } from './edits/edit.js';
import { edits, sysboxEdits } from './edits/index.js';
import { copyUpEngineFolders } from './engine-folders.js';
import { type IdMapping, rangeOfMap, wholeRange } from './id-mapping.js';
import { NamespaceSet } from './namespace-set.js';
import { type Plan, type PreparationRequest, planContainer, type RangeSource } from './plan.js';
import { RuntimeRefusal } from './refusal.js';
import { mountRoot } from './root-mount.js';
import type { Specification } from './specification.js';
import { Stage } from './staging.js';
import { handOverPipes } from './standard-streams.js';
import type { UserNamespaces } from './user-namespaces.js';
import { guardVolumes, usesVolumes } from './volume-guard.js';

export interface PreparationTools {
  readonly ledger: RangeSource;
  readonly namespaces: UserNamespaces;
  readonly runDir: string;
  readonly backend: 'runc' | 'sysbox';
}

/** A bundle that its backend may be started with. */
export interface Prepared {
  /** The folder of mounts that are needed until the backend's start is over; absent where there are none. */
  readonly stage?: string;
}

/**
 * Edits a bundle's config.json and makes the mounts that it then names.
 * @throws RuntimeRefusal what is to be told to the client; nothing is left of the attempt
 */
export async function prepare(request: PreparationRequest, tools: PreparationTools): Promise<Prepared> {
  const specification = readBundle(request.bundle);
  const plan = planContainer(specification, request, tools.ledger);
  try {
    const { layout, mountTable } = plan.context;
    if (usesVolumes(specification, layout.dataRoot)) guardVolumes(layout.dataRoot, mountTable);
    if (tools.backend === 'sysbox') return await prepareForSysbox(specification, request, plan, tools);
    return await prepareForRunc(specification, request, plan, tools);
  } finally {
    closeBinds(plan.binds);
  }
}

/**
 * Sysbox shifts the root and the engine's own files itself. It gets the container's own range, and host paths as
 * clones of what was approved: by path they could be exchanged before it mounts them, and it would show all of them
 * with the rights of the host's root.
 */
async function prepareForSysbox(
  specification: Specification,
  request: PreparationRequest,
  plan: Plan,
  tools: PreparationTools,
): Promise<Prepared> {
  const binds = plan.binds.filter(({ permitted }) => permitted.ofHost);
  if (binds.length === 0) {
    applyEdits(sysboxEdits, specification, request, plan, {});
    return {};
  }
  const itself = (mapping: IdMapping): boolean => rangeOfMap(mapping.uid) !== undefined;
  const mappings = binds.map(({ permitted }) => permitted.mapping).filter((mapping) => !itself(mapping));
  const namespaces = await NamespaceSet.make(mappings, tools.namespaces);
  try {
    return onStage(request, tools, (stage) => {
      // Sysbox shifts a mount by the whole range, unless its owner is the container's root already; one that is
      // shifted the kernel never lets anybody shift again (mount_setattr(2), EPERM).
      const namespaceFor = (mapping: IdMapping) => (itself(mapping) ? undefined : namespaces.of(mapping));
      const mountSources = mountBinds(binds, stage, plan.context, namespaceFor);
      const flags = lockedFlags(binds, plan.context);
      applyEdits(sysboxEdits, specification, request, plan, { mountSources, mountFlags: flags });
    });
  } finally {
    namespaces.close();
  }
}

/** Does the rest of a preparation on a new stage, which is taken away when it fails. */
function onStage(
  request: PreparationRequest,
  tools: PreparationTools,
  work: (stage: Stage, undo: (() => void)[]) => void,
): Prepared {
  const owner = processIdentity(request.pid);
  if (owner === undefined) {
    throw new RuntimeRefusal('COFFERDAM_RUNTIME_BUNDLE', `process ${request.pid} ended before its container`);
  }
  const undo: (() => void)[] = [];
  try {
    const stage = new Stage(tools.runDir, request.id, { ...owner, pidFile: request.pidFile ?? '' });
    undo.push(() => stage.remove());
    work(stage, undo);
    return { stage: stage.folder };
  } catch (problem) {
    for (const step of undo.reverse()) step();
    throw problem;
  }
}

async function prepareForRunc(
  specification: Specification,
  request: PreparationRequest,
  plan: Plan,
  tools: PreparationTools,
): Promise<Prepared> {
  const { range, context, binds } = plan;
  const mappings = [wholeRange(range), ...binds.map((bind) => bind.permitted.mapping)];
  const namespaces = await NamespaceSet.make(mappings, tools.namespaces);
  try {
    return onStage(request, tools, (stage, undo) => {
      if (request.verb === 'create') copyUpEngineFolders(specification, context.mountTable);
      const rootPath = mountRoot(specification.root.path, stage, context, namespaces.of);
      const mountSources = mountBinds(binds, stage, context, namespaces.of);
      const deviceBinds = bindRenamedDevices(specification, stage);
      if (wantsDelegation(specification)) {
        const folders = delegateCgroups(specification, request.systemdCgroup, range, context.mountTable);
        undo.push(() => removeEmpty(folders));
      }
      if (request.verb === 'create') handOverPipes(request.pid, request.streams, range.base);
      const flags = lockedFlags(binds, context);
      applyEdits(edits, specification, request, plan, {
        ...{ rootPath, mountSources, mountFlags: flags, deviceBinds },
      });
    });
  } finally {
    namespaces.close();
  }
}

function applyEdits(
  list: typeof edits,
  specification: Specification,
  request: PreparationRequest,
  plan: Plan,
  made: Partial<Pick<EditContext, 'rootPath' | 'mountSources' | 'mountFlags' | 'deviceBinds'>>,
): void {
  const context: EditContext = {
    containerId: request.id,
    mapping: wholeRange(plan.range),
    mountSources: new Map(),
    ...made,
    ...(plan.userNamespacePath === undefined ? {} : { userNamespacePath: plan.userNamespacePath }),
  };
  for (const edit of list) edit.apply(specification, context);
  writeBundle(request.bundle, specification);
}
