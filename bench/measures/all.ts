/** Every measure, in the order in which they run: what is small and quiet first, large bodies last. */
import type { Measure } from '../measure.js';
import { allocate } from './allocator.js';
import { bindRun, bindWork } from './bind-mounts.js';
import { copyOut, nullBulk, saveImage } from './bulk.js';
import { containerSocket, containerSocketMemory } from './container-sockets.js';
import { inspectedCreate, socketCreates } from './creates.js';
import { build, dockerExec, dockerRun, dockerStart, randomReads, readFiles, untar } from './docker-run.js';
import { judgedBuild, judgedContext } from './judged-builds.js';
import { pingLatency, throughputs } from './requests.js';
import { echo, eventStreams, hijackedBulk, idleMemory } from './streams.js';
import { copyIn, copyThroughBind, loadImage } from './uploads.js';

export const measures: readonly Measure[] = [
  idleMemory,
  dockerRun,
  dockerStart,
  dockerExec,
  bindRun,
  bindWork,
  untar,
  readFiles,
  randomReads,
  build,
  judgedBuild,
  judgedContext,
  pingLatency,
  ...throughputs,
  inspectedCreate,
  ...socketCreates,
  containerSocket,
  containerSocketMemory,
  allocate,
  echo,
  eventStreams,
  hijackedBulk,
  ...nullBulk,
  saveImage,
  loadImage,
  copyOut,
  copyIn,
  ...copyThroughBind,
];
