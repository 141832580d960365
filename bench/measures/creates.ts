/** What judging costs: create requests that the null engine answers, so that nothing but the proxy is left. */
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { controlPath } from '../../src/control/path.js';
import type { Cofferdam } from '../../test/support/cofferdam.js';
import { added, beside } from '../goals.js';
import type { Measure, Sample, Sampler } from '../measure.js';
import { KeepAlive } from '../raw-http.js';
import { changeSettings, direct, us } from '../stage.js';
import { percentile } from '../statistics.js';

const requests = 200;

function createRequest(hostConfig: object = {}): string {
  const body = JSON.stringify({
    Image: 'null',
    Cmd: ['true'],
    HostConfig: { NetworkMode: 'none', AutoRemove: true, RestartPolicy: { Name: 'no' }, ...hostConfig },
  });
  return `POST /v1.51/containers/create HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** The median of many create requests, one after the other, in microseconds. */
async function sampleCreates(socket: string, request: string): Promise<Sample> {
  const connection = await KeepAlive.open(socket, request);
  const times: number[] = [];
  for (let count = 0; count < requests; count += 1) {
    const begin = performance.now();
    await connection.ask();
    times.push((performance.now() - begin) * 1000);
  }
  connection.close();
  return {
    value: percentile(times, 0.5),
    also: { 'p99 (µs)': percentile(times, 0.99), 'longest (µs)': Math.max(...times) },
  };
}

/** What the daemon says of its phases until now: microseconds spent in reading and judging, and requests. */
async function judgingTime(cofferdam: Cofferdam): Promise<{ spent: number; count: number }> {
  const metrics = await new Promise<string>((resolve, reject) => {
    get({ socketPath: controlPath(cofferdam.runDir), path: '/metrics' }, (answer) =>
      resolve(text(answer)),
    ).on('error', reject);
  });
  const figure = (kind: 'sum' | 'count', phase: string): number =>
    Number(
      new RegExp(`^cofferdam_request_phase_seconds_${kind}\\{phase="${phase}"\\} (\\S+)`, 'm').exec(
        metrics,
      )?.[1],
    );
  return {
    spent: (figure('sum', 'read') + figure('sum', 'judge')) * 1e6,
    count: figure('count', 'judge'),
  };
}

const judging = 'parse, lookups, rules (mean, µs)';

export const inspectedCreate: Measure = {
  name: 'create',
  title: 'POST /containers/create on one connection, null engine',
  unit: 'µs',
  better: 'lower',
  rounds: 9,
  goals: [
    {
      what: 'parse, lookups and rules, by the daemon’s own clock',
      figure: beside(us, judging),
      unit: 'µs',
      side: 'at most',
      must: 2000,
      aim: 500,
    },
    {
      what: 'added to direct, the note in the ledger on the disk included',
      figure: added(us, direct),
      unit: 'µs',
      side: 'at most',
    },
  ],
  async prepare(stage) {
    const { cofferdam, targets } = await stage.null();
    return targets.map(({ name, socket }) => ({
      name,
      async sample() {
        const before = await judgingTime(cofferdam);
        const sample = await sampleCreates(socket, createRequest());
        if (name !== us) return sample;
        const after = await judgingTime(cofferdam);
        const mean = (after.spent - before.spent) / (after.count - before.count);
        return { value: sample.value, also: { [judging]: mean, ...sample.also } };
      },
    }));
  },
};

/** A create that asks for the Docker socket, for an image built on a listed one, beside one with an ordinary bind. */
function socketCreate(name: string, entries: number, must: number): Measure {
  const [plain, asking] = ['with a folder', 'with the socket'];
  return {
    name,
    title: `creating a container of a derived image with the Docker socket, ${entries} listed images, null engine`,
    unit: 'µs',
    better: 'lower',
    rounds: 5,
    goals: [
      { what: 'added by the decision', figure: added(asking, plain), unit: 'µs', side: 'at most', must },
    ],
    async prepare(stage) {
      const { cofferdam } = await stage.null();
      const others = Array.from({ length: entries - 1 }, (_, at) => `registry.example/images/other-${at}:1`);
      const restore = await changeSettings(cofferdam, {
        enhancedContainerIsolation: {
          value: true,
          dockerSocketMount: {
            imageList: { images: [...others, `sha256:${'2'.repeat(64)}`], allowDerivedImages: true },
          },
        },
      });
      const folder = mkdtempSync(join(tmpdir(), 'cofferdam-bench-bound-'));
      const bound = (bind: string): string => createRequest({ Binds: [bind] });
      const sampler = (target: string, request: string): Sampler => ({
        name: target,
        sample: () => sampleCreates(cofferdam.socket, request),
      });
      return [
        {
          ...sampler(plain, bound(`${folder}:/bound`)),
          async close() {
            rmSync(folder, { recursive: true });
            await restore();
          },
        },
        sampler(asking, bound('/var/run/docker.sock:/var/run/docker.sock')),
      ];
    },
  };
}

export const socketCreates = [
  socketCreate('create-derived', 2, 5000),
  socketCreate('create-listed', 10_000, 1000),
];
