/** Hijacked streams and many open ones: echo, bulk, memory. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { added, beside, ratio, value } from '../goals.js';
import type { Measure } from '../measure.js';
import { peerNames } from '../peers.js';
import { cpuMicroseconds, residentKibibytes } from '../process-cost.js';
import { hijack, send } from '../raw-http.js';
import { direct, us } from '../stage.js';
import { percentile } from '../statistics.js';

const attach = `/v1.44/containers/${'c'.repeat(64)}/attach?stream=1&stdin=1&stdout=1`;

export const echo: Measure = {
  name: 'echo',
  title: 'echo of 32 bytes on a hijacked stream, null engine',
  unit: 'µs',
  better: 'lower',
  rounds: 9,
  goals: [
    {
      what: 'added to direct',
      figure: added(us, direct),
      unit: 'µs',
      side: 'at most',
      must: 25,
      aim: added(peerNames.haproxy, direct),
    },
  ],
  async prepare(stage) {
    return (await stage.withBarePump(await stage.null())).map((target) => ({
      name: target.name,
      async sample() {
        const stream = await hijack(target.socket, attach);
        const times: number[] = [];
        const message = Buffer.alloc(32, 'x');
        for (let count = 0; count < 3_000; count += 1) {
          const begin = performance.now();
          stream.write(message);
          await once(stream, 'data');
          times.push((performance.now() - begin) * 1000);
        }
        stream.destroy();
        return { value: percentile(times, 0.5), also: { 'p99 (µs)': percentile(times, 0.99) } };
      },
    }));
  },
};

export const hijackedBulk: Measure = {
  name: 'hijacked-bulk',
  title: '512 MiB there and back on a hijacked stream, null engine',
  unit: 'MB/s',
  better: 'higher',
  rounds: 4,
  goals: [
    {
      what: 'against haproxy',
      figure: ratio(us, peerNames.haproxy),
      unit: '×',
      side: 'at least',
      must: 1,
      aim: 1.5,
    },
  ],
  async prepare(stage) {
    const bytes = 512 * 1024 * 1024;
    return (await stage.null()).targets.map((target) => ({
      name: target.name,
      async sample() {
        const stream = await hijack(target.socket, attach);
        let back = 0;
        const done = new Promise<void>((resolve, reject) => {
          stream.on('data', (chunk: Buffer) => {
            back += chunk.length;
            if (back === bytes) resolve();
          });
          stream.on('close', () => reject(new Error(`${target.name}: ${back} of ${bytes} bytes came back`)));
        });
        const pids = target.pids();
        const cpu = cpuMicroseconds(pids);
        const begin = performance.now();
        await Promise.all([send(stream, bytes, false), done]);
        const seconds = (performance.now() - begin) / 1000;
        const used = cpuMicroseconds(pids) - cpu;
        stream.removeAllListeners('close');
        stream.destroy();
        return {
          value: bytes / 1e6 / seconds,
          ...(pids.length > 0 ? { also: { 'CPU per GB (ms)': used / 1000 / ((2 * bytes) / 1e9) } } : {}),
        };
      },
    }));
  },
};

const perStream = 'KiB per stream';

/** 1,000 open event streams: how long they take to open, and what each keeps in memory. */
export const eventStreams: Measure = {
  name: 'event-streams',
  title: '1,000 open GET /events streams, null engine',
  unit: 'ms to open',
  better: 'lower',
  rounds: 3,
  goals: [
    { what: 'a stream', figure: beside(us, perStream), unit: 'KiB', side: 'at most', must: 20, aim: 8 },
    { what: 'to open', figure: value(us), unit: 'ms', side: 'at most', must: 500 },
  ],
  async prepare(stage) {
    const count = 1_000;
    return (await stage.null()).targets.map((target) => ({
      name: target.name,
      async sample() {
        const pids = target.pids();
        const before = pids.length > 0 ? residentKibibytes(pids) : 0;
        const begin = performance.now();
        const streams = await Promise.all(Array.from({ length: count }, () => openEvents(target.socket)));
        const milliseconds = performance.now() - begin;
        await sleep(300);
        const grown = pids.length > 0 ? residentKibibytes(pids) - before : 0;
        for (const stream of streams) stream.destroy();
        await sleep(300);
        return {
          value: milliseconds,
          ...(pids.length > 0 ? { also: { [perStream]: grown / count } } : {}),
        };
      },
    }));
  },
};

async function openEvents(path: string): Promise<Socket> {
  const socket = await connected(path);
  socket.write('GET /v1.44/events HTTP/1.1\r\nHost: docker\r\n\r\n');
  const [head] = await once(socket, 'data');
  if (!Buffer.isBuffer(head) || !head.toString('latin1').startsWith('HTTP/1.1 200'))
    throw new Error('no events');
  return socket;
}

/** A connection, tried again while the server's backlog is full (connect(2): EAGAIN on unix sockets). */
async function connected(path: string): Promise<Socket> {
  for (;;) {
    const socket = createConnection({ path });
    try {
      await once(socket, 'connect');
      return socket;
    } catch (problem) {
      if (!(problem instanceof Error && 'code' in problem && problem.code === 'EAGAIN')) throw problem;
      await sleep(1);
    }
  }
}

/** After this time at rest the daemon has given back what only the start needed, in milliseconds. */
const settling = 20_000;

/** Resident memory with nothing to do. */
export const idleMemory: Measure = {
  name: 'memory',
  title: 'resident memory, idle in front of a real engine, what is shared with other processes included',
  unit: 'MiB',
  better: 'lower',
  rounds: 3,
  goals: [{ what: 'idle', figure: value(us), unit: 'MiB', side: 'at most', must: 90, aim: 60 }],
  async prepare(stage) {
    const targets = (await stage.real()).targets.filter((target) => target.pids().length > 0);
    await sleep(settling);
    return targets.map((target) => ({
      name: target.name,
      async sample() {
        const pids = target.pids();
        return {
          value: residentKibibytes(pids, { shared: true }) / 1024,
          also: { 'without shares of others (MiB)': residentKibibytes(pids) / 1024 },
        };
      },
    }));
  },
};
