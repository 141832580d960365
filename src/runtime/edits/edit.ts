/**
 * One small change to a container's specification, or one thing that is refused in it. Edits are pure: what they
 * need to know is in the context, and they change nothing but the specification that they are given.
 */
import type { DeviceBinds } from '../device-nodes.js';
import type { IdMapping } from '../id-mapping.js';
import type { Specification } from '../specification.js';

/** What was prepared for the container. */
export interface EditContext {
  readonly containerId: string;
  /** The container's own mapping: its whole range, or that of the container that it joins. */
  readonly mapping: IdMapping;
  /** `/proc/PID/ns/user` of the container that it joins; absent for a namespace of its own. */
  readonly userNamespacePath?: string;
  /** The root folder with shifted owners; absent where the backend shifts it itself. */
  readonly rootPath?: string;
  /** New sources of mounts, by their place in the list. */
  readonly mountSources: ReadonlyMap<number, string>;
  /** Flags that are locked on mounts, by their place in the list. */
  readonly mountFlags?: ReadonlyMap<number, readonly string[]>;
  /** Devices that became binds. */
  readonly deviceBinds?: DeviceBinds;
}

export interface Edit {
  /** Equals the file's name and its fixtures' folder. */
  readonly name: string;
  /** @throws RuntimeRefusal when the container may not be started at all */
  apply(specification: Specification, context: EditContext): void;
}
