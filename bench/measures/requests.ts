/** Small requests: what a proxy adds to each, how many it passes, and what that costs. */

import { added, beside, type Goal, ratio } from '../goals.js';
import type { Measure, Sample } from '../measure.js';
import { peerNames } from '../peers.js';
import { cpuMicroseconds } from '../process-cost.js';
import { KeepAlive } from '../raw-http.js';
import { direct, type Target, us } from '../stage.js';
import { percentile } from '../statistics.js';

const ping = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';

/** Latency on one connection: the median of 2,000 requests is one sample. */
export const pingLatency: Measure = {
  name: 'ping',
  title: 'GET /_ping on one connection, real engine',
  unit: 'µs',
  better: 'lower',
  rounds: 9,
  goals: [
    {
      what: 'added to direct',
      figure: added(us, direct),
      unit: 'µs',
      side: 'at most',
      must: added(peerNames.tecnativa, direct),
      aim: added(peerNames.nginx, direct),
    },
  ],
  prepare: async (stage) =>
    (await stage.real()).targets.map((target) => ({
      name: target.name,
      async sample() {
        const connection = await KeepAlive.open(target.socket, ping);
        const times: number[] = [];
        for (let count = 0; count < 2_000; count += 1) {
          const begin = performance.now();
          await connection.ask();
          times.push((performance.now() - begin) * 1000);
        }
        connection.close();
        return { value: percentile(times, 0.5), also: { 'p99 (µs)': percentile(times, 0.99) } };
      },
    })),
};

const perRequest = 'CPU per request (µs)';
/**
 * For how long requests are sent for one sample, in milliseconds. Many short turns instead of few long ones: what a
 * shared machine gives changes by the second, and then for all alike.
 */
const burst = 250;

/** Requests per second on keep-alive connections that each have one request under way. */
async function sampleThroughput(target: Target, connections: number): Promise<Sample> {
  const open = await Promise.all(
    Array.from({ length: connections }, () => KeepAlive.open(target.socket, ping)),
  );
  await Promise.all(open.map((connection) => connection.ask()));
  const pids = target.pids();
  const cpu = cpuMicroseconds(pids);
  const begin = performance.now();
  let requests = 0;
  await Promise.all(
    open.map(async (connection) => {
      while (performance.now() - begin < burst) {
        await connection.ask();
        requests += 1;
      }
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  const used = cpuMicroseconds(pids) - cpu;
  for (const connection of open) connection.close();
  return {
    value: requests / seconds,
    ...(pids.length > 0 ? { also: { [perRequest]: used / requests } } : {}),
  };
}

function throughput(connections: number, engine: 'real' | 'null', goals: readonly Goal[]): Measure {
  return {
    name: `ping-${connections}${engine === 'null' ? '-null' : ''}`,
    title: `GET /_ping on ${connections} keep-alive connections, ${engine} engine`,
    unit: 'requests/s',
    better: 'higher',
    rounds: 24,
    goals,
    prepare: async (stage) =>
      (await stage.withBarePump(await (engine === 'real' ? stage.real() : stage.null()))).map((target) => ({
        name: target.name,
        sample: () => sampleThroughput(target, connections),
      })),
  };
}

const asManyAsHaproxy: Goal = {
  what: 'against haproxy with keep-alive',
  figure: ratio(us, peerNames.haproxy),
  unit: '×',
  side: 'at least',
  must: 0.9,
  aim: ratio(peerNames.nginx, peerNames.haproxy),
};
const costOfOne: Goal = {
  what: 'CPU time of a request',
  figure: beside(us, perRequest),
  unit: 'µs',
  side: 'at most',
  must: 40,
  aim: beside(peerNames.nginx, perRequest),
};

export const throughputs = [
  throughput(16, 'real', [asManyAsHaproxy]),
  throughput(64, 'real', [asManyAsHaproxy, costOfOne]),
  // Without an engine's own cost only the proxies are left; nothing is asked of it.
  throughput(64, 'null', [
    {
      what: 'against haproxy with keep-alive',
      figure: ratio(us, peerNames.haproxy),
      unit: '×',
      side: 'at least',
    },
  ]),
];
