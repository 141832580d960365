/**
 * Who speaks on a connection. A process of a container isn't somebody of its own: it speaks for the user who had the
 * container made, and for the first one where containers were made by containers. Told by the kernel's own ids, which
 * a container can't choose: every id of its range is its own and nobody else's.
 */

import { blockHolding } from '../uid-allocator/range.js';
import type { Caller, ContainerRecord, Range } from '../uid-allocator/record.js';

/** What it needs of the ledger. */
export interface ContainerRecords {
  read(containerId: string): ContainerRecord | undefined;
  list(): ContainerRecord[];
  isTaken(base: number): boolean;
}

export class Lineage {
  readonly #records: ContainerRecords;
  /** The container that had a block when last looked: only a hint, its record decides. */
  readonly #containerByBase = new Map<number, string>();

  constructor(records: ContainerRecords) {
    this.#records = records;
  }

  /**
   * The caller behind a peer.
   * @param peer uid, gid, pid and groups as the kernel tells them of the connection
   * @throws AllocatorError when the ledger can't tell: then nobody may speak on this connection
   */
  callerOf(peer: Caller): Caller {
    const block = blockHolding(peer.uid);
    // A user of a directory service may have such an id as well; looking for its container would be in vain.
    if (!block || !this.#records.isTaken(block.base)) return peer;
    const record = this.#recordOf(block);
    if (!record) return peer;
    const { uid, gid, groups, bounds } = record.caller ?? peer;
    return { uid, gid, groups, pid: peer.pid, container: record.id, ...(bounds && { bounds }) };
  }

  #recordOf(block: Range): ContainerRecord | undefined {
    const known = this.#containerByBase.get(block.base);
    const record = known === undefined ? undefined : this.#records.read(known);
    if (record?.range.base === block.base) return record;
    const found = this.#records.list().find(({ range }) => range.base === block.base);
    if (found) this.#containerByBase.set(block.base, found.id);
    else this.#containerByBase.delete(block.base);
    return found;
  }
}
