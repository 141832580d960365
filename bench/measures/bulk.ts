/** Large bodies both ways: through a real engine, and against the null engine, where only the proxy counts. */
import { type Goal, ratio } from '../goals.js';
import type { Measure, Sample } from '../measure.js';
import { peerNames } from '../peers.js';
import { cpuMicroseconds } from '../process-cost.js';
import { type Transfer, transfer } from '../raw-http.js';
import { direct, type Target, us } from '../stage.js';
import { asDirect, bigContainer, bigImage, forBulk } from './real-bulk.js';

const closing = 'Host: docker\r\nConnection: close\r\n';

/** MB/s of a transfer, with the proxy's CPU time for a gigabyte. */
async function speed(target: Target, bytes: number, move: () => Promise<Transfer>): Promise<Sample> {
  const pids = target.pids();
  const cpu = cpuMicroseconds(pids);
  const { milliseconds, status, received } = await move();
  if (!status.includes(' 200 ')) throw new Error(`${target.name} answered ${status}`);
  const used = cpuMicroseconds(pids) - cpu;
  const moved = Math.max(bytes, received);
  return {
    value: moved / 1e6 / (milliseconds / 1000),
    ...(pids.length > 0 ? { also: { 'CPU per GB (ms)': used / 1000 / (moved / 1e9) } } : {}),
  };
}

const gibibyte = 1024 ** 3;

const asHaproxy: Goal = {
  what: 'against haproxy with keep-alive',
  figure: ratio(us, peerNames.haproxy),
  unit: '×',
  side: 'at least',
  must: 1,
};
/** What a proxy written in Go reached on such a machine. */
const asGo: Goal = {
  what: 'against direct',
  figure: ratio(us, direct),
  unit: '×',
  side: 'at least',
  aim: 0.4,
};

function againstNull(
  name: string,
  title: string,
  bytes: number,
  move: (target: Target) => Promise<Transfer>,
): Measure {
  return {
    name,
    title: `${title}, null engine`,
    unit: 'MB/s',
    better: 'higher',
    rounds: 4,
    goals: [asHaproxy, asGo],
    prepare: async (stage) =>
      (await stage.null()).targets.map((target) => ({
        name: target.name,
        sample: () => speed(target, bytes, () => move(target)),
      })),
  };
}

const save = (names: string): string => `GET /v1.44/images/get?names=${names} HTTP/1.1\r\n${closing}\r\n`;
const load = (framing: string): string =>
  `POST /v1.44/images/load?quiet=1 HTTP/1.1\r\n${closing}Content-Type: application/x-tar\r\n${framing}\r\n\r\n`;

export const nullBulk: readonly Measure[] = [
  againstNull('down-length', '1 GiB down with Content-Length', gibibyte, (target) =>
    transfer(target.socket, save(`length-${gibibyte}`)),
  ),
  againstNull('down-chunked', '1 GiB down in chunks', gibibyte, (target) =>
    transfer(target.socket, save(`chunks-${gibibyte}`)),
  ),
  againstNull('up-length', '1 GiB up with Content-Length', gibibyte, (target) =>
    transfer(target.socket, load(`Content-Length: ${gibibyte}`), { bytes: gibibyte, chunked: false }),
  ),
  againstNull('up-chunked', '1 GiB up in chunks', gibibyte, (target) =>
    transfer(target.socket, load('Transfer-Encoding: chunked'), { bytes: gibibyte, chunked: true }),
  ),
];

/** `docker save`. */
export const saveImage: Measure = {
  name: 'save',
  title: 'GET /images/get of a 1 GiB image, real engine',
  unit: 'MB/s',
  better: 'higher',
  rounds: 3,
  goals: [asDirect],
  async prepare(stage) {
    const name = await bigImage(stage);
    return (await forBulk(stage)).map((target) => ({
      name: target.name,
      sample: () => speed(target, 0, () => transfer(target.socket, save(name))),
    }));
  },
};

/** `docker cp` out of a container. */
export const copyOut: Measure = {
  name: 'archive-down',
  title: 'GET /containers/X/archive of 1 GiB, real engine',
  unit: 'MB/s',
  better: 'higher',
  rounds: 3,
  goals: [asDirect],
  async prepare(stage) {
    const id = await bigContainer(stage);
    const head = `GET /v1.44/containers/${id}/archive?path=/random HTTP/1.1\r\n${closing}\r\n`;
    return (await forBulk(stage)).map((target) => ({
      name: target.name,
      sample: () => speed(target, 0, () => transfer(target.socket, head)),
    }));
  },
};
