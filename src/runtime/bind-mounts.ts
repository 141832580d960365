/**
 * Makes every bind of a container in its stage: a clone of the source that is idmapped, and locked read-only where
 * it is to be read only, before the container's namespace exists. The backend then binds the clone instead of the
 * source. Which binds there may be is decided in bind-approval.ts.
 */
import { closeSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { attachTree, cloneTree, closeTree, setAttributes, type TreeAttributes } from '../system/mounts.js';
import { openResolved, resolveFlag } from '../system/open-beneath.js';
import { type BindContext, type PermittedBind, permitBind } from './bind-approval.js';
import { type IdMapping, rangeOfMap } from './id-mapping.js';
import { mountShiftedOverlay } from './overlay.js';
import { shiftTree } from './shift.js';
import type { Specification, SpecificationMount } from './specification.js';
import type { Stage } from './staging.js';

/**
 * A descriptor of a user namespace with a mapping, from those that were made for this container; undefined for a
 * mapping that the backend gives a mount itself.
 */
export type NamespaceFor = (mapping: IdMapping) => number | undefined;

/** A bind that may be mounted, and where it stands in the specification's list. */
export interface PlannedBind {
  readonly index: number;
  readonly mount: SpecificationMount;
  readonly permitted: PermittedBind;
}

/** True for a mount that shows a part of the host's file tree. */
export function isBind(mount: SpecificationMount): boolean {
  return (
    mount.type === 'bind' || (mount.options ?? []).some((option) => option === 'bind' || option === 'rbind')
  );
}

/** Judges all binds; when one is refused, none stays open. @throws RuntimeRefusal COFFERDAM_RUNTIME_REFUSED */
export function planBinds(specification: Specification, context: BindContext): readonly PlannedBind[] {
  const planned: PlannedBind[] = [];
  try {
    for (const [index, mount] of (specification.mounts ?? []).entries()) {
      if (isBind(mount)) planned.push({ index, mount, permitted: permitBind(mount, context) });
    }
    return planned;
  } catch (problem) {
    closeBinds(planned);
    throw problem;
  }
}

/** Closes the descriptors of planned binds. */
export function closeBinds(planned: readonly PlannedBind[]): void {
  for (const { permitted } of planned) closeSync(permitted.descriptor);
}

/** Mounts planned binds in the stage. @returns the new source of each, by its place in the specification's list */
export function mountBinds(
  planned: readonly PlannedBind[],
  stage: Stage,
  context: BindContext,
  namespaceFor: NamespaceFor,
): ReadonlyMap<number, string> {
  const sources = new Map<number, string>();
  for (const { index, mount, permitted } of planned) {
    const target = stage.newName('bind');
    if (permitted.directory) mkdirSync(target, { mode: 0o711 });
    else writeFileSync(target, '', { mode: 0o600 });
    const userNamespace = namespaceFor(permitted.mapping);
    const entry = context.mountTable.containing(permitted.source);
    const ofRange = rangeOfMap(permitted.mapping.uid) !== undefined;
    // A caller's single id can't own what the kernel makes for an overlay of its own; the error then names it.
    if (userNamespace !== undefined && entry?.type === 'overlay' && ofRange) {
      const overlay = stage.newFolder('overlay');
      mountShiftedOverlay(entry, overlay, stage.newFolder('layers'), userNamespace, {
        uid: context.range.base,
        gid: context.range.base,
      });
      const inside = join(overlay, entry.root, relative(entry.mountPoint, permitted.source));
      bindShifted(inside, target, mount, permitted.readOnly);
    } else {
      bindIdmapped(permitted, target, mount, userNamespace);
    }
    sources.set(index, target);
  }
  return sources;
}

/** What the kernel locks on these binds: a clone opens no devices, and keeps what its file system is mounted with. */
export function lockedFlags(
  planned: readonly PlannedBind[],
  { mountTable }: BindContext,
): ReadonlyMap<number, readonly string[]> {
  return new Map(
    planned.map(({ index, permitted }) => {
      const inherited = mountTable.containing(permitted.source)?.options ?? [];
      return [index, ['nodev', ...['nosuid', 'noexec'].filter((flag) => inherited.includes(flag))]];
    }),
  );
}

interface BindOptions {
  readonly recursive: boolean;
  readonly readOnly: 'no' | 'top' | 'recursive';
  readonly propagation: 'private' | 'keep';
}

function bindOptions(mount: SpecificationMount, readOnly: boolean): BindOptions {
  const options = new Set(mount.options ?? []);
  const top = options.has('ro') || readOnly;
  return {
    recursive: options.has('rbind'),
    readOnly: options.has('rro') || (readOnly && options.has('rbind')) ? 'recursive' : top ? 'top' : 'no',
    // A clone that hears of mounts on the host stays in the group of its source.
    propagation: ['shared', 'rshared', 'slave', 'rslave'].some((option) => options.has(option))
      ? 'keep'
      : 'private',
  };
}

function bindIdmapped(
  permitted: PermittedBind,
  target: string,
  mount: SpecificationMount,
  userNamespace: number | undefined,
): void {
  const options = bindOptions(mount, permitted.readOnly);
  const tree = cloneTree(permitted.source, {
    recursive: options.recursive,
    descriptor: permitted.descriptor,
  });
  try {
    const attributes: TreeAttributes = {
      recursive: options.recursive,
      readOnly: options.readOnly === 'recursive',
      propagation: options.propagation,
    };
    if (userNamespace === undefined) setAttributes(tree, attributes);
    else shiftTree(tree, { ...attributes, userNamespace });
    if (options.readOnly === 'top') {
      setAttributes(tree, { readOnly: true, recursive: false, propagation: 'keep' });
    }
    attachTree(tree, target);
  } finally {
    closeTree(tree);
  }
}

/** A part of an overlay that is shifted already: nothing is left but to lock it. */
function bindShifted(source: string, target: string, mount: SpecificationMount, readOnly: boolean): void {
  const descriptor = openResolved(source, { resolve: resolveFlag.noSymlinks });
  try {
    const tree = cloneTree(source, { recursive: false, descriptor });
    try {
      if (bindOptions(mount, readOnly).readOnly !== 'no') {
        setAttributes(tree, { readOnly: true, recursive: false, propagation: 'private' });
      }
      attachTree(tree, target);
    } finally {
      closeTree(tree);
    }
  } finally {
    closeSync(descriptor);
  }
}
