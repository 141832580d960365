import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { type Engine, engineVersions, importBusybox } from '../support/engines.js';

type EntryHeader = Partial<Header> & Pick<Header, 'name'>;

async function archive(...entries: readonly (readonly [EntryHeader, string?])[]): Promise<Buffer> {
  const tar = pack();
  for (const [header, content] of entries) tar.entry(header, content ?? '');
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe.each(engineVersions)('docker cp and a running container on engine %s', (version) => {
  let engine: Engine;
  let cofferdam: Cofferdam;
  let folder: string;
  const docker = (...argv: string[]): Promise<string> => cofferdam.cli.must(...argv);
  const inside = (script: string): Promise<string> => docker('exec', 'box', 'sh', '-c', script);

  /** Sends an archive as it is; the status and the message of the answer. */
  const put = (query: string, body: Buffer): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const path = `/v1.41/containers/box/archive?${query}`;
      const headers = { 'content-type': 'application/x-tar', 'content-length': body.length };
      const call = request({ socketPath: cofferdam.socket, method: 'PUT', path, headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString() }),
        );
      });
      call.on('error', reject);
      call.end(body);
    });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cofferdam-cp-'));
    engine = await startIsolatingEngine({ version });
    cofferdam = await startCofferdam({ engine });
    await importBusybox(cofferdam.cli);
    await docker(
      'run',
      '-d',
      '--name',
      'box',
      '--network',
      'none',
      '--tmpfs',
      '/fast',
      'busybox',
      'sleep',
      '100000',
    );
  });
  afterAll(async () => {
    await cofferdam?.close();
    await engine?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a file arrives in a folder that only lower layers have', async () => {
    writeFileSync(join(folder, 'motd'), 'hello\n');
    await docker('cp', join(folder, 'motd'), 'box:/etc/motd');
    expect(await inside('cat /etc/motd')).toBe('hello');
    expect(await inside('stat -c %u:%g /etc/motd')).toBe('0:0');
  });

  test('the container can go on writing to a folder that the engine looked at', async () => {
    await docker('cp', 'box:/etc/passwd', join(folder, 'passwd'));
    expect(await inside('touch /etc/later && ls /etc/later')).toBe('/etc/later');
  });

  test('what the container made can be copied out at once', async () => {
    await inside('echo before > /etc/made; cat /etc/made');
    await docker('cp', 'box:/etc/made', join(folder, 'made'));
    expect(readFileSync(join(folder, 'made'), 'utf8')).toBe('before\n');
    await inside('echo after > /etc/made2; rm /etc/made');
    await docker('cp', 'box:/etc/made2', join(folder, 'made2'));
    expect((await cofferdam.docker('cp', 'box:/etc/made', join(folder, 'gone'))).code).toBe(1);
    expect(await docker('diff', 'box')).toContain('A /etc/made2');
  });

  test('trees keep owners, modes, links and times', async () => {
    const tree = await archive(
      [{ name: 'tree', type: 'directory', mode: 0o750, uid: 7, gid: 8, mtime: new Date(1e12) }],
      [{ name: 'tree/file', mode: 0o4755, uid: 999, gid: 998, mtime: new Date(1e12) }, 'content'],
      [{ name: 'tree/link', type: 'symlink', linkname: 'file' }],
      [{ name: 'tree/second', type: 'link', linkname: 'tree/file' }],
    );
    expect((await put('path=/', tree)).status).toBe(200);
    expect(await inside('cd /tree; stat -c "%n %a %u:%g %Y %h" . file; readlink link; cat second')).toBe(
      ['. 750 7:8 1000000000 2', 'file 4755 999:998 1000000000 2', 'file', 'content'].join('\n'),
    );
    expect(await inside('rm -r /tree; ls /')).not.toContain('tree');
  });

  test('gzip is read, and chunks of any size', async () => {
    const tar = await archive([{ name: 'zipped' }, 'x'.repeat(300_000)]);
    expect((await put('path=/tmp', gzipSync(tar))).status).toBe(200);
    expect(await inside('wc -c < /tmp/zipped')).toBe('300000');
  });

  test('a tmpfs of the container, which the engine never sees, is reached', async () => {
    writeFileSync(join(folder, 'quick'), 'quick\n');
    await inside('mkdir -p /fast');
    await docker('cp', join(folder, 'quick'), 'box:/fast/quick');
    expect(await inside('cat /fast/quick')).toBe('quick');
  });

  test('the destination is judged by the engine, in its words', async () => {
    const tar = await archive([{ name: 'f' }, 'x']);
    const missing = await put('path=/nowhere', tar);
    expect(missing.status).toBe(404);
    expect(missing.text).toContain('Could not find the file /nowhere in container');
    const file = await put('path=/etc/passwd', tar);
    // Engines before 28 answer with 500 here.
    expect(file.status).toBeGreaterThanOrEqual(400);
    expect(file.text).toContain('extraction point is not a directory');
  });

  test('folders and files are not exchanged where the client forbids it', async () => {
    await inside('mkdir -p /swap/a; touch /swap/b');
    const file = await put('path=/swap&noOverwriteDirNonDir=1', await archive([{ name: 'a' }, 'x']));
    expect(file).toMatchObject({ status: 400, text: expect.stringContaining('cannot overwrite directory') });
    const tree = await archive([{ name: 'b', type: 'directory' }]);
    expect((await put('path=/swap&noOverwriteDirNonDir=1', tree)).text).toContain(
      'cannot overwrite non-directory',
    );
    expect((await put('path=/swap', await archive([{ name: 'a' }, 'x']))).status).toBe(200);
    expect(await inside('cat /swap/a')).toBe('x');
  });

  test('nothing leaves the destination: dots, links on the way, absolute links', async () => {
    const outside = join(folder, 'outside');
    mkdirSync(outside);
    await inside(`mkdir -p /trap; ln -sfn / /trap/root; ln -sfn ${outside} /trap/host`);
    const dots = await put('path=/trap', await archive([{ name: '../../escaped' }, 'x']));
    expect(dots).toMatchObject({ status: 400, text: expect.stringContaining('outside of the destination') });
    expect((await put('path=/trap', await archive([{ name: 'host/file' }, 'x']))).status).toBe(400);
    expect((await put('path=/trap/host', await archive([{ name: 'file' }, 'x']))).status).toBe(404);
    expect((await put('path=/trap/root', await archive([{ name: 'top' }, 'x']))).status).toBe(200);
    expect(await inside('cat /top')).toBe('x');
    const hard = await archive([{ name: 'stolen', type: 'link', linkname: '../../../../etc/passwd' }]);
    expect((await put('path=/trap', hard)).status).toBe(400);
    expect(statSync('/top', { throwIfNoEntry: false })).toBeUndefined();
    expect(statSync(join(outside, 'file'), { throwIfNoEntry: false })).toBeUndefined();
  });

  test('a link that the archive plants is not followed', async () => {
    const planted = await archive(
      [{ name: 'door', type: 'symlink', linkname: '/etc' }],
      [{ name: 'door/planted' }, 'x'],
    );
    expect((await put('path=/tmp', planted)).status).toBe(400);
    expect(await inside('ls /etc')).not.toContain('planted');
  });

  test('device nodes and owners that the container does not have are refused', async () => {
    const node = await archive([{ name: 'disk', type: 'block-device', devmajor: 8, devminor: 0 }]);
    expect(await put('path=/tmp', node)).toMatchObject({
      status: 400,
      text: expect.stringContaining('block-device'),
    });
    const foreign = await archive([{ name: 'foreign', uid: 70_000 }, 'x']);
    expect(await put('path=/tmp', foreign)).toMatchObject({
      status: 400,
      text: expect.stringContaining('70000:0'),
    });
  });

  test('a folder that is exchanged for a link while it is replaced leads nowhere else', async () => {
    const precious = join(folder, 'precious');
    mkdirSync(precious);
    writeFileSync(join(precious, 'kept'), 'kept');
    symlinkSync(precious, join(folder, 'to-precious'));
    await inside('mkdir -p /race');
    const flip = inside(
      `i=0; while [ $i -lt 300 ]; do rm -rf /race/x; mkdir -p /race/x/y; rm -rf /race/x; ln -s ${precious} /race/x; i=$((i+1)); done`,
    );
    const tar = await archive([{ name: 'x' }, 'file']);
    for (let attempt = 0; attempt < 60; attempt += 1) await put('path=/race', tar);
    await flip;
    expect(readFileSync(join(precious, 'kept'), 'utf8')).toBe('kept');
  });
});
