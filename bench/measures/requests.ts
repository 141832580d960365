/** Small requests: what a proxy adds to each, how many it passes, and what that costs. */

import type { Measure } from '../measure.js';
import { cpuMicroseconds } from '../process-cost.js';
import { KeepAlive } from '../raw-http.js';
import type { Stage, Target } from '../stage.js';
import { percentile } from '../statistics.js';

const ping = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';

/** Latency on one connection: the median of 2,000 requests is one sample. */
function latency(
  name: string,
  title: string,
  targetsOf: (stage: Stage) => Promise<readonly Target[]>,
): Measure {
  return {
    name,
    title,
    unit: 'µs',
    better: 'lower',
    rounds: 7,
    async prepare(stage) {
      return (await targetsOf(stage)).map((target) => ({
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
      }));
    },
  };
}

export const pingLatency = latency(
  'ping',
  'GET /_ping on one connection, real engine',
  async (stage) => (await stage.real()).targets,
);

/** Requests per second on many keep-alive connections, each with one request under way. */
function throughput(connections: number): Measure {
  return {
    name: `ping-${connections}`,
    title: `GET /_ping on ${connections} keep-alive connections, null engine`,
    unit: 'requests/s',
    better: 'higher',
    rounds: 5,
    async prepare(stage) {
      return (await stage.null()).targets.map((target) => ({
        name: target.name,
        async sample() {
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
              while (performance.now() - begin < 2_000) {
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
            ...(pids.length > 0 ? { also: { 'CPU per request (µs)': used / requests } } : {}),
          };
        },
      }));
    },
  };
}

export const throughputs = [throughput(1), throughput(16), throughput(64)];

/** What judging adds: a create request answered by the null engine. */
export const inspectedCreate: Measure = {
  name: 'create',
  title: 'POST /containers/create on one connection, null engine',
  unit: 'µs',
  better: 'lower',
  rounds: 7,
  async prepare(stage) {
    const body = JSON.stringify({
      Image: 'null',
      Cmd: ['true'],
      HostConfig: { NetworkMode: 'none', AutoRemove: true, RestartPolicy: { Name: 'no' } },
    });
    const request = `POST /v1.51/containers/create HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    return (await stage.null()).targets.map((target) => ({
      name: target.name,
      async sample() {
        const connection = await KeepAlive.open(target.socket, request);
        const times: number[] = [];
        for (let count = 0; count < 300; count += 1) {
          const begin = performance.now();
          await connection.ask();
          times.push((performance.now() - begin) * 1000);
        }
        connection.close();
        return { value: percentile(times, 0.5), also: { 'p99 (µs)': percentile(times, 0.99) } };
      },
    }));
  },
};
