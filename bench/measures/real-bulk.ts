/** What the measures of large bodies on the real engine share: an image and a container of 1 GiB, and an archive of it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../../src/engine/embedded/command.js';
import { type Goal, ratio } from '../goals.js';
import { peerNames } from '../peers.js';
import { direct, type Stage, type Target, us } from '../stage.js';

const mebibytes = 1024;

export const asDirect: Goal = {
  what: 'against direct',
  figure: ratio(us, direct),
  unit: '×',
  side: 'at least',
  must: 0.9,
  aim: 1,
};

/** The targets of large bodies; of the peers one, for what a proxy that copies costs where the engine needs every CPU. */
export async function forBulk(stage: Stage): Promise<readonly Target[]> {
  const { targets } = await stage.real();
  return targets.filter(({ name }) => name === direct || name === us || name === peerNames.haproxy);
}

/** An archive with one file of 1 GiB, `random`, made once. */
export async function bigArchive(stage: Stage): Promise<string> {
  const tar = join(stage.folder, 'big.tar');
  if (existsSync(tar)) return tar;
  await mustRun('dd', [
    'if=/dev/urandom',
    `of=${join(stage.folder, 'random')}`,
    'bs=1M',
    `count=${mebibytes}`,
  ]);
  await mustRun('tar', ['-C', stage.folder, '--remove-files', '-cf', tar, 'random']);
  return tar;
}

/** An image of that archive. */
export async function bigImage(stage: Stage): Promise<string> {
  const { engine } = await stage.real();
  if ((await engine.docker('inspect', 'big')).code === 0) return 'big';
  await engine.cli.must('import', await bigArchive(stage), 'big');
  return 'big';
}

/** A container of that image that never runs. */
export async function bigContainer(stage: Stage): Promise<string> {
  const { cofferdam } = await stage.real();
  return cofferdam.cli.must('create', '--network', 'none', await bigImage(stage), '/random');
}
