/**
 * Everything that is decided about a container before anything is made for it: its range, whose namespaces it
 * joins, which binds it may have. A container that may not be started fails here.
 */

import { MountTable } from '../system/mount-table.js';
import type { ContainerRecord, Range } from '../uid-allocator/record.js';
import type { CreateArguments } from './arguments.js';
import type { BindContext } from './bind-approval.js';
import { type PlannedBind, planBinds } from './bind-mounts.js';
import { checks } from './edits/index.js';
import { engineLayout } from './engine-layout.js';
import { joinedContainer } from './joined-namespaces.js';
import { RuntimeRefusal } from './refusal.js';
import type { Specification } from './specification.js';

/** The part of the ledger that the runtime uses. */
export interface RangeSource {
  read(containerId: string): ContainerRecord | undefined;
  list(): readonly ContainerRecord[];
  allocateFor(containerId: string, pid?: number): ContainerRecord;
}

/** What to prepare, and for which process: the one that is, or becomes, the backend. */
export interface PreparationRequest extends CreateArguments {
  readonly pid: number;
  /** Where that process has the container's standard input, output and error. */
  readonly streams: readonly number[];
}

export interface Plan {
  /** The range that the container runs with. */
  readonly range: Range;
  /** Where the user namespace that it joins is found; absent for one of its own. */
  readonly userNamespacePath?: string;
  readonly context: BindContext;
  /** Open descriptors: whoever has a plan closes them with `closeBinds`. */
  readonly binds: readonly PlannedBind[];
}

/**
 * Decides about a container. A container that the ledger doesn't know gets a range of its own here: the engine made
 * it by itself (a build step, a service's task), or somebody went past the proxy; it may have nothing of the host.
 * @throws RuntimeRefusal when it may not be started
 */
export function planContainer(
  specification: Specification,
  request: PreparationRequest,
  ledger: RangeSource,
): Plan {
  const layout = engineLayout(specification.root.path);
  const joined = joinedContainer(specification, () => ledger.list());
  const record =
    ledger.read(request.id) ??
    // A RUN step ends with its process; a container lives until the engine destroys it.
    ledger.allocateFor(request.id, layout.kind === 'build' ? request.pid : undefined);
  const range = joined?.record.range ?? record.range;
  if (range.base < 1 || range.size < 65536) {
    throw new RuntimeRefusal(
      'COFFERDAM_RUNTIME_REFUSED',
      `the range ${range.base}+${range.size} in the ledger is no range for a container`,
    );
  }
  for (const check of checks) {
    check.apply(specification, {
      containerId: request.id,
      mapping: { uid: [], gid: [] },
      mountSources: new Map(),
    });
  }
  const user = specification.process?.user;
  const context: BindContext = {
    record,
    range,
    layout,
    mountTable: MountTable.read(),
    joined: joined === undefined ? [] : [joined.record.id],
    processArguments: specification.process?.args ?? [],
    processUser: { uid: user?.uid ?? 0, gid: user?.gid ?? 0 },
  };
  const binds = planBinds(specification, context);
  return joined === undefined
    ? { range, context, binds }
    : { range, context, binds, userNamespacePath: joined.userNamespacePath };
}
