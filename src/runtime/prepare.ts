/**
 * Prepares a bundle for its backend: THE SPINE of the runtime. Everything is decided before anything is made, and
 * a failure at any step leaves nothing behind and starts nothing. It needs root, and Linux 5.19 or later.
 */
import { processIdentity } from '../system/process-identity.js';
import { closeBinds, mountBinds } from './bind-mounts.js';
import { readBundle, writeBundle } from './bundle.js';
import { delegateCgroups, removeEmpty, wantsDelegation } from './cgroup-delegation.js';
import { bindRenamedDevices } from './device-nodes.js';
import type { EditContext } from './edits/edit.js';
import { edits, sysboxEdits } from './edits/index.js';
import { copyUpEngineFolders } from './engine-folders.js';
import { wholeRange } from './id-mapping.js';
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
    if (tools.backend === 'sysbox') return prepareForSysbox(specification, request, plan);
    return await prepareForRunc(specification, request, plan, tools);
  } finally {
    closeBinds(plan.binds);
  }
}

/** Sysbox shifts owners and mounts itself: it gets the container's own range, and nothing else changes. */
function prepareForSysbox(specification: Specification, request: PreparationRequest, plan: Plan): Prepared {
  applyEdits(sysboxEdits, specification, request, plan, {});
  return {};
}

async function prepareForRunc(
  specification: Specification,
  request: PreparationRequest,
  plan: Plan,
  tools: PreparationTools,
): Promise<Prepared> {
  const { range, context, binds } = plan;
  const owner = processIdentity(request.pid);
  if (owner === undefined) {
    throw new RuntimeRefusal('COFFERDAM_RUNTIME_BUNDLE', `process ${request.pid} ended before its container`);
  }
  const mappings = [wholeRange(range), ...binds.map((bind) => bind.permitted.mapping)];
  const namespaces = await NamespaceSet.make(mappings, tools.namespaces);
  const undo: (() => void)[] = [];
  try {
    const stage = new Stage(tools.runDir, request.id, { ...owner, pidFile: request.pidFile ?? '' });
    undo.push(() => stage.remove());
    if (request.verb === 'create') copyUpEngineFolders(specification, context.mountTable);
    const rootPath = mountRoot(specification.root.path, stage, range, context.mountTable, namespaces.of);
    const mountSources = mountBinds(binds, stage, context, namespaces.of);
    const deviceBinds = bindRenamedDevices(specification, stage);
    if (wantsDelegation(specification)) {
      const folders = delegateCgroups(specification, request.systemdCgroup, range, context.mountTable);
      undo.push(() => removeEmpty(folders));
    }
    if (request.verb === 'create') handOverPipes(request.pid, request.streams, range);
    applyEdits(edits, specification, request, plan, { rootPath, mountSources, deviceBinds });
    return { stage: stage.folder };
  } catch (problem) {
    for (const step of undo.reverse()) step();
    throw problem;
  } finally {
    namespaces.close();
  }
}

function applyEdits(
  list: typeof edits,
  specification: Specification,
  request: PreparationRequest,
  plan: Plan,
  made: Partial<Pick<EditContext, 'rootPath' | 'mountSources' | 'deviceBinds'>>,
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
