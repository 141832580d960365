import { expect, test } from 'vitest';
import { Lineage } from '../../src/host-files/lineage.js';
import { blockAt } from '../../src/uid-allocator/range.js';
import type { Caller, ContainerRecord } from '../../src/uid-allocator/record.js';

const alice: Caller = { uid: 1000, gid: 1000, pid: 7, groups: [1000, 998] };

function record(id: string, block: number, caller: Caller | undefined): ContainerRecord {
  const range = blockAt(block);
  return {
    version: 1,
    id,
    range,
    ...(caller && { caller }),
    mounts: [],
    socketGrant: true,
    createdAt: 0,
    token: id,
  };
}

function lineageOf(...records: ContainerRecord[]): {
  lineage: Lineage;
  records: ContainerRecord[];
  lists: number;
} {
  const state = {
    records,
    lists: 0,
    lineage: new Lineage({ read: () => undefined, list: () => [], isTaken: () => false }),
  };
  state.lineage = new Lineage({
    read: (id) => state.records.find((one) => one.id === id),
    isTaken: (base) => state.records.some(({ range }) => range.base === base),
    list: () => {
      state.lists++;
      return state.records;
    },
  });
  return state;
}

const peer = (uid: number): Caller => ({ uid, gid: uid, pid: 99, groups: [uid] });

test('a user of the host speaks for itself', () => {
  const { lineage } = lineageOf(record('a', 0, alice));
  expect(lineage.callerOf(alice)).toBe(alice);
  expect(lineage.callerOf(peer(0))).toEqual(peer(0));
  // An id of the grid that no container has: a user of a directory service.
  expect(lineage.callerOf(peer(300_000))).toEqual(peer(300_000));
});

test.each([100_000, 100_999, 165_535])(
  'a container’s process (uid %i) speaks for its first caller',
  (uid) => {
    const { lineage } = lineageOf(record('a', 0, alice), record('b', 1, undefined));
    expect(lineage.callerOf(peer(uid))).toEqual({ ...alice, pid: 99, container: 'a' });
  },
);

test('a container’s process is bound by the lists of those that had the container made', () => {
  const bounds = ['ryuk:*', ''];
  const { lineage } = lineageOf(record('b', 0, { ...alice, container: 'a', bounds }));
  expect(lineage.callerOf(peer(100_000))).toEqual({ ...alice, pid: 99, container: 'b', bounds });
});

test('a container that nobody of the host had made speaks for itself alone', () => {
  const { lineage } = lineageOf(record('b', 1, undefined));
  expect(lineage.callerOf(peer(165_536))).toEqual({ ...peer(165_536), container: 'b' });
});

test('a block that has gone to another container speaks for that one’s caller', () => {
  const state = lineageOf(record('a', 0, alice));
  expect(state.lineage.callerOf(peer(100_000)).container).toBe('a');
  expect(state.lineage.callerOf(peer(100_000)).container).toBe('a');
  expect(state.lists).toBe(1);
  state.records = [record('c', 0, { ...alice, uid: 1001 })];
  expect(state.lineage.callerOf(peer(100_000))).toMatchObject({ uid: 1001, container: 'c' });
});
