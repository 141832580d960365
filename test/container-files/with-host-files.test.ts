import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/engine/embedded/command.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, importBusybox } from '../support/engines.js';

const ownerUid = 61_234;
const foreignUid = 61_235;

describe('docker cp and a container with host files', () => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  let folder: string;
  let work: string;
  const docker = (...argv: string[]): Promise<string> => cofferdam.cli.must(...argv);

  beforeAll(async () => {
    // Not below a temporary folder that others can't enter: the owner of the work folder must reach it.
    folder = mkdtempSync('/var/tmp/cofferdam-cp-');
    chmodSync(folder, 0o755);
    work = join(folder, 'work');
    mkdirSync(work);
    writeFileSync(join(work, 'own'), 'own\n');
    writeFileSync(join(work, 'foreign'), 'secret\n', { mode: 0o600 });
    mkdirSync(join(work, 'closed'), { mode: 0o700 });
    writeFileSync(join(work, 'closed/inner'), 'secret\n');
    symlinkSync('/etc/passwd', join(work, 'link'));
    for (const name of ['', 'own']) chownSync(join(work, name), ownerUid, ownerUid);
    for (const name of ['foreign', 'closed', 'closed/inner'])
      chownSync(join(work, name), foreignUid, foreignUid);
    engine = await startIsolatingEngine({ version: '26.1' });
    cofferdam = await startCofferdam({ engine });
    await importBusybox(cofferdam.cli);
    const mount = ['--volume', `${work}:/work`];
    await docker('run', '-d', '--name', 'box', '--network', 'none', ...mount, 'busybox', 'sleep', '100000');
  });
  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('files of the image come out as from any container', async () => {
    await docker('cp', 'box:/etc', join(folder, 'etc'));
    expect(readFileSync(join(folder, 'etc/passwd'), 'utf8')).toBe(
      `${await docker('exec', 'box', 'cat', '/etc/passwd')}\n`,
    );
  });

  test('host files come out with the rights of the container', async () => {
    await docker('cp', 'box:/work/own', join(folder, 'own'));
    expect(readFileSync(join(folder, 'own'), 'utf8')).toBe('own\n');
    const foreign = await cofferdam.docker('cp', 'box:/work/foreign', join(folder, 'stolen'));
    expect(foreign.code).not.toBe(0);
    const inner = await cofferdam.docker('cp', 'box:/work/closed/inner', join(folder, 'stolen'));
    expect(inner.code).not.toBe(0);
    expect(existsSync(join(folder, 'stolen')) && readFileSync(join(folder, 'stolen'), 'utf8')).not.toBe(
      'secret\n',
    );
  });

  test('what is copied in belongs to the owner of the folder on disk', async () => {
    writeFileSync(join(folder, 'new'), 'new\n', { mode: 0o4755 });
    await docker('cp', join(folder, 'new'), 'box:/work/new');
    expect(await docker('exec', 'box', 'stat', '-c', '%u', '/work/new')).toBe('0');
    expect(statSync(join(work, 'new')).uid).toBe(ownerUid);
  });

  test('foreign files are neither replaced nor reached below', async () => {
    writeFileSync(join(folder, 'bad'), 'bad\n');
    await cofferdam.docker('cp', join(folder, 'bad'), 'box:/work/closed/bad');
    expect(existsSync(join(work, 'closed/bad'))).toBe(false);
    const missing = await cofferdam.docker('cp', join(folder, 'bad'), 'box:/work/closed/none/bad');
    expect(missing.stderr).toContain('Could not find the file');
  });

  test('foreign files get no second name, own ones do', async () => {
    const archive = join(folder, 'links.tar');
    mkdirSync(join(folder, 'links'));
    for (const [name, target] of [
      ['again', 'own'],
      ['stolen', 'foreign'],
    ] as const) {
      writeFileSync(join(folder, 'links', target), '');
      linkSync(join(folder, 'links', target), join(folder, 'links', name));
      // Only the second name: the first is what lies in the work folder already.
      await runCommand('tar', ['-C', join(folder, 'links'), '-cf', archive, target, name]);
      await runCommand('tar', ['--delete', '-f', archive, target]);
      const sent = await runCommand('curl', [
        ...['--silent', '--output', '/dev/null', '--write-out', '%{http_code}', '--upload-file', archive],
        ...['--unix-socket', cofferdam.socket, 'http://docker/v1.41/containers/box/archive?path=/work'],
      ]);
      expect(sent.stdout).toBe(target === 'own' ? '200' : '400');
    }
    expect(statSync(join(work, 'own')).nlink).toBe(2);
    expect(statSync(join(work, 'foreign')).nlink).toBe(1);
  });

  test('a link in the bind leads to the container’s own file', async () => {
    await docker('cp', '-L', 'box:/work/link', join(folder, 'passwd'));
    expect(readFileSync(join(folder, 'passwd'), 'utf8')).toBe(
      `${await docker('exec', 'box', 'cat', '/etc/passwd')}\n`,
    );
  });

  test('a large file goes both ways unchanged', async () => {
    await runCommand('sh', ['-c', `head -c 30000000 /dev/urandom > ${folder}/large`]);
    await docker('cp', join(folder, 'large'), 'box:/work/large');
    await docker('cp', 'box:/work/large', join(folder, 'back'));
    expect((await runCommand('cmp', [join(folder, 'large'), join(folder, 'back')])).code).toBe(0);
  });

  test('a stopped container is refused, with what to do', async () => {
    await docker('stop', '-t', '0', 'box');
    const refused = await cofferdam.docker('cp', 'box:/etc/passwd', join(folder, 'x'));
    expect(refused.stderr).toContain('while it is stopped');
    await docker('start', 'box');
    await docker('cp', 'box:/etc/passwd', join(folder, 'x'));
  });
});
