/**
 * Published advisories about filters in front of a Docker engine, each played as its request on a real one: the filter
 * read less than the engine did, or nothing at all.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AttackRequest, caller, Stage } from '../attacks/stage.js';
import { tarArchive, tarEntrySchema } from '../attacks/tar.js';
import { strayFiles } from '../attacks/world.js';
import { type EngineVersion, engineVersions } from '../support/engines.js';

const version: EngineVersion = engineVersions.at(-1) ?? '28.5';
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(version);
});
afterAll(async () => {
  await stage?.close();
});

const create = '/v1.41/containers/create';
const danger = { Image: 'alpine', HostConfig: { Binds: ['/:/host'], Privileged: true } };

/** Refused, and the engine has no more containers than before. */
async function refused(request: AttackRequest): Promise<string> {
  const count = async () => (await stage.engine.cli.must('ps', '-aq')).split('\n').length;
  const before = await count();
  const { status, text } = await stage.send(request);
  expect(status === 0 || (status >= 400 && status < 500), text).toBe(true);
  expect(await count()).toBe(before);
  return text;
}

describe('the body that the filter did not see', () => {
  test('CVE-2024-41110: a length of zero in front of a body', async () => {
    const bytes = JSON.stringify(danger);
    await refused({ path: create, headers: { 'Content-Length': '0' }, body: bytes });
    await refused({
      path: create,
      headers: { 'Content-Length': '0', 'Transfer-Encoding': 'chunked' },
      body: danger,
    });
  });

  test('CVE-2026-34040: a body above the limit is refused, never passed on unread', async () => {
    const { status } = await stage.send({
      path: create,
      body: { ...danger, Labels: { pad: 'x'.repeat(6 << 20) } },
    });
    expect([0, 413]).toContain(status);
    await refused({ path: create, body: danger });
  });

  test('moby sendBody: the verdict does not hang on the Content-Type', async () => {
    for (const type of [
      'text/plain',
      'application/json; charset="',
      'application/jsonx',
      'APPLICATION/JSON; x=1',
    ]) {
      await refused({ path: create, headers: { 'Content-Type': type }, body: danger });
    }
  });

  test('infosupport/huddle #90, golang/go#24415: folded and repeated keys', async () => {
    await refused({ path: create, body: '{"image":"alpine","hostconfig":{"binds":["/:/h"]}}' });
    await refused({
      path: create,
      body: '{"Image":"alpine","HostConfig":{"Binds":["/:/h"]},"HostConfig":{}}',
    });
  });

  test('golang/go#21092: elements of an earlier array show through', async () => {
    const first = '"Mounts":[{"Type":"bind","Source":"/","Target":"/h"}]';
    await refused({
      path: create,
      body: `{"Image":"alpine","HostConfig":{${first},"Mounts":[{"Target":"/h"}]}}`,
    });
  });

  test('nextcloud/all-in-one #8458: escapes in keys and values', async () => {
    await refused({ path: create, body: '{"Image":"alpine","HostConfig":{"\\u0042inds":["\\u002f:/h"]}}' });
  });

  test('HostConfig at the top of the body, as engines up to 26.1 read it', async () => {
    await refused({ path: create, body: { Image: 'alpine', Privileged: true, Binds: ['/:/h'] } });
  });
});

describe('the field that the filter did not know', () => {
  test('CVE-2026-6406: --use-api-socket stands in Mounts', async () => {
    const mount = { Type: 'bind', Source: stage.engine.socket, Target: '/var/run/docker.sock' };
    const text = await refused({ path: create, body: { Image: 'alpine', HostConfig: { Mounts: [mount] } } });
    expect(text).toContain(
      'docker socket mount denied for container with image \\"docker.io/library/alpine\\"',
    );
  });

  test('Docker Desktop 4.31: a volume whose source is a restricted folder', async () => {
    const DriverOpts = { type: 'none', o: 'bind', device: '/etc/docker' };
    expect(await refused({ path: '/v1.41/volumes/create', body: { Name: 'v', DriverOpts } })).toContain(
      'restricted',
    );
    expect(
      await refused({ path: create, body: { Image: 'alpine', HostConfig: { Binds: ['adminvol:/h'] } } }),
    ).toContain('restricted');
  });

  test('CVE-2026-44849: a service update is judged as its create', async () => {
    const spec = {
      TaskTemplate: {
        ContainerSpec: { Image: 'alpine', Mounts: [{ Type: 'bind', Source: '/', Target: '/h' }] },
      },
    };
    expect(await refused({ path: '/v1.41/services/create', body: { Name: 's', ...spec } })).toContain(
      'restricted',
    );
    expect(
      await refused({ path: '/v1.41/services/s/update?version=1', body: { Name: 's', ...spec } }),
    ).toContain("a service can't mount");
  });

  test('wollomatic/socket-proxy 1.13: VolumesFrom, block devices, NFS', async () => {
    await refused({ path: create, body: { Image: 'alpine', HostConfig: { VolumesFrom: ['legacy_runc'] } } });
    for (const DriverOpts of [
      { type: 'ext4', device: '/dev/sda1' },
      { type: 'nfs', o: 'addr=10.0.0.1', device: ':/' },
    ]) {
      await refused({ path: '/v1.41/volumes/create', body: { Name: 'v', DriverOpts } });
    }
  });

  test('CVE-2024-21626: a working directory on a leaked descriptor', async () => {
    await refused({ path: create, body: { Image: 'alpine', WorkingDir: '/proc/self/fd/8' } });
    await refused({
      path: '/v1.41/containers/own1/exec',
      body: { Cmd: ['ls'], WorkingDir: '/proc/self/fd/8/../..' },
    });
  });

  test('Docker Desktop 4.37.1: empty and odd lists end no process', async () => {
    const bodies = [
      {},
      { Image: '' },
      { Image: 'alpine', HostConfig: { Binds: [], Mounts: [], VolumesFrom: [''] } },
      [],
    ];
    for (const body of bodies) await stage.send({ path: create, body });
    expect(stage.cofferdam.pid).toBeDefined();
  });
});

describe('the path that the filter did not match', () => {
  test('CVE-2026-44848: /plugins is no hole in the list of endpoints', async () => {
    for (const path of ['pull?remote=x', 'p/enable', 'p/set', 'create?name=p']) {
      await refused({ path: `/v1.41/plugins/${path}`, body: [] });
    }
  });

  test('CVE-2026-33997: nor is a plugin upgrade with a list of privileges', async () => {
    await refused({
      path: '/v1.41/plugins/p/upgrade?remote=evil.io/p',
      body: [{ Name: 'mount', Value: ['/'] }],
    });
  });

  test.each([
    '/v1.41./',
    '/v1..41/',
    '/v01.41/',
    '/v1.41.0.0/',
    '//v1.41//',
    '/v1.41/%2e%2e/v1.41/',
    '/./v1.41/',
  ])('wollomatic/socket-proxy: the version written as %s', async (prefix) => {
    await refused({ path: `${prefix}containers/create`, body: danger });
  });

  test('Tecnativa/docker-socket-proxy #182: a GET reads files and writes to a terminal', async () => {
    await refused({ method: 'GET', path: '/v1.41/containers/bobs/archive?path=/w' });
    await refused({ method: 'GET', path: '/v1.41/containers/bobs/export' });
    const upgrade = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Key': 'eA==',
      'Sec-WebSocket-Version': '13',
    };
    await refused({
      method: 'GET',
      path: '/v1.41/containers/bobs/attach/ws?stdin=1&stream=1',
      headers: upgrade,
    });
  });

  test('CVE-2018-15664, CVE-2026-41568, CVE-2026-42306: docker cp reaches host files with the caller’s rights only', async () => {
    const entry = { name: 'drop', mode: '4755', uid: 0, text: '#!/bin/sh' };
    const body = tarArchive([tarEntrySchema.parse(entry), tarEntrySchema.parse({ name: 'disk', type: '4' })]);
    for (const path of ['/w', '/tmp/l']) {
      const headers = { 'Content-Type': 'application/x-tar' };
      await stage.send({
        method: 'PUT',
        path: `/v1.41/containers/ownbind/archive?path=${path}`,
        headers,
        body,
      });
      expect(strayFiles(join(stage.names['home'] ?? '', 'work'), caller.uid)).toEqual([]);
    }
    const read = await stage.send({ method: 'GET', path: '/v1.41/containers/bobs/archive?path=/w' });
    expect(read.text).not.toContain('of Bob');
  });

  test('CVE-2023-0629: the engine’s own socket is closed to the caller', async () => {
    const answer = await stage.sender.send(
      stage.engine.socket,
      'GET',
      Buffer.from('GET /info HTTP/1.1\r\nHost: docker\r\n\r\n'),
    );
    expect(answer.status).toBe(0);
  });

  test('CVE-2020-24263: it is the API that is judged, whatever the client', async () => {
    await refused({ path: create, headers: { 'User-Agent': 'Docker-Client/28.2 (linux)' }, body: danger });
    expect(existsSync('/host')).toBe(false);
  });
});
