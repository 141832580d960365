/**
 * The user namespaces that one container's mounts are mapped with: one for each mapping, however many mounts have
 * it. They are open only while the mounts are made.
 */
import { closeNamespace, type OpenNamespace } from '../system/namespaces.js';
import { type IdMapping, mapText } from './id-mapping.js';
import type { UserNamespaces } from './user-namespaces.js';

export class NamespaceSet {
  readonly #open = new Map<string, OpenNamespace>();

  /** Makes one for every mapping. @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST */
  static async make(mappings: readonly IdMapping[], source: UserNamespaces): Promise<NamespaceSet> {
    const set = new NamespaceSet();
    try {
      for (const mapping of mappings) {
        const key = keyOf(mapping);
        if (!set.#open.has(key)) set.#open.set(key, await source.make(mapping));
      }
      return set;
    } catch (problem) {
      set.close();
      throw problem;
    }
  }

  /** The descriptor of a mapping's namespace. */
  readonly of = (mapping: IdMapping): number => {
    const namespace = this.#open.get(keyOf(mapping));
    if (namespace === undefined) throw new TypeError('no namespace was made for this mapping');
    return namespace.descriptor;
  };

  close(): void {
    for (const namespace of this.#open.values()) closeNamespace(namespace);
    this.#open.clear();
  }
}

function keyOf(mapping: IdMapping): string {
  return `${mapText(mapping.uid)}/${mapText(mapping.gid)}`;
}
