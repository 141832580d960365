/** The registry client against servers that authenticate, lie, hang, and send too much; and the memory of answers. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Digests, type ManifestSource } from '../../src/registry/digests.js';
import { parseReference } from '../../src/registry/reference.js';
import { type Manifest, RegistryClient, RegistryProblem } from '../../src/registry/registry-client.js';

type Handler = (request: IncomingMessage, response: ServerResponse, address: string) => void;

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(handler: Handler, tls?: { key: Buffer; cert: Buffer }): Promise<string> {
  let address = '';
  const listener = (request: IncomingMessage, response: ServerResponse) =>
    handler(request, response, address);
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return address;
}

function client(certificates?: string): RegistryClient {
  const made = new RegistryClient(certificates === undefined ? {} : { certificates });
  cleanups.push(() => made.close());
  return made;
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'cofferdam-digests-'));
  cleanups.push(() => rmSync(made, { recursive: true }));
  return made;
}

const child = `sha256:${'c'.repeat(64)}`;
const index = JSON.stringify({ schemaVersion: 2, manifests: [{ digest: child }] });
const indexDigest = `sha256:${createHash('sha256').update(index).digest('hex')}`;

describe('asking a registry', () => {
  test('the digest is computed from what it sends, whatever it states', async () => {
    const host = await serve((_request, response) => {
      response.setHeader('Docker-Content-Digest', `sha256:${'e'.repeat(64)}`);
      response.end(index);
    });
    const manifest = await client().manifest(parseReference(`${host}/ci/x:1`));
    expect(manifest).toEqual({ digest: indexDigest, manifests: [child] });
  });

  test('token authentication, without credentials', async () => {
    const asked: string[] = [];
    const host = await serve((request, response, address) => {
      asked.push(request.url ?? '');
      if (request.url?.startsWith('/token')) return void response.end('{"token":"abc"}');
      if (request.headers.authorization === 'Bearer abc') return void response.end(index);
      const scope = 'repository:ci/x:pull';
      response.setHeader(
        'WWW-Authenticate',
        `Bearer realm="http://${address}/token",service="s",scope="${scope}"`,
      );
      response.writeHead(401).end();
    });
    expect((await client().manifest(parseReference(`${host}/ci/x:1`)))?.digest).toBe(indexDigest);
    expect(asked).toEqual([
      '/v2/ci/x/manifests/1',
      '/token?service=s&scope=repository%3Aci%2Fx%3Apull',
      '/v2/ci/x/manifests/1',
    ]);
  });

  test('TLS by a private authority that the engine trusts', async () => {
    const certificates = folder();
    const [key, cert] = [join(certificates, 'key.pem'), join(certificates, 'cert.pem')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        key,
        '-out',
        cert,
        '-days',
        '2',
        ...subject,
      ],
      { stdio: 'ignore' },
    );
    const host = await serve((_request, response) => void response.end(index), {
      key: readFileSync(key),
      cert: readFileSync(cert),
    });
    const reference = parseReference(`${host}/ci/x:1`);
    await expect(client(certificates).manifest(reference)).rejects.toThrow(RegistryProblem);
    mkdirSync(join(certificates, host));
    writeFileSync(join(certificates, host, 'ca.crt'), readFileSync(cert));
    expect((await client(certificates).manifest(reference))?.digest).toBe(indexDigest);
  });

  test.each<[string, Handler, string]>([
    [
      'other content than the digest that was asked for',
      (_request, response) => void response.end('{}'),
      'other content',
    ],
    ['no manifest', (_request, response) => void response.end('<html>'), 'no manifest'],
    ['an error', (_request, response) => void response.writeHead(500).end(), 'status 500'],
    [
      'a redirect',
      (_request, response) => void response.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end(),
      'status 302',
    ],
    ['far too much', (_request, response) => void response.end(Buffer.alloc(5 << 20, 0x20)), 'too large'],
    [
      'a challenge for a password',
      (_request, response) => void response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end(),
      'wants credentials',
    ],
    [
      'half an answer',
      (_request, response) => {
        response.writeHead(200, { 'Content-Length': '100' });
        response.write('{');
        response.destroy();
      },
      "can't be asked",
    ],
  ])('%s is a problem', async (title, handler, words) => {
    const host = await serve(handler);
    const version = title.startsWith('other content') ? `@sha256:${'d'.repeat(64)}` : ':1';
    const reference = parseReference(`${host}/ci/x${version}`);
    await expect(client().manifest(reference)).rejects.toThrow(words);
  });

  test('none is none', async () => {
    const host = await serve((_request, response) => void response.writeHead(404).end());
    expect(await client().manifest(parseReference(`${host}/ci/x:1`))).toBeUndefined();
  });
});

describe('remembering', () => {
  const reference = parseReference('registry.example/ci/x:1');

  function source(answers: readonly (Manifest | undefined | Error)[]): ManifestSource & { asked: number } {
    const made = {
      asked: 0,
      manifest: async () => {
        const answer = answers[Math.min(made.asked, answers.length - 1)];
        made.asked += 1;
        if (answer instanceof Error) throw answer;
        return answer;
      },
    };
    return made;
  }
  const one = { digest: 'sha256:1', manifests: [] };
  const two = { digest: 'sha256:2', manifests: [] };

  test('a known answer is given at once, and renewed behind the scenes', async () => {
    let now = 1_000_000;
    const asked = source([one, two]);
    const digests = new Digests(asked, join(folder(), 'digests.json'), () => now);
    expect((await digests.lookUp(reference))?.manifest).toEqual(one);
    now += 60_000;
    expect((await digests.lookUp(reference))?.manifest).toEqual(one);
    expect(asked.asked).toBe(1);
    now += 120_000;
    expect((await digests.lookUp(reference))?.manifest).toEqual(one);
    await digests.settled();
    expect((await digests.lookUp(reference))?.manifest).toEqual(two);
  });

  test('an unreachable registry leaves the last known answer, and says so; also after a restart', async () => {
    let now = 1_000_000;
    const file = join(folder(), 'digests.json');
    await new Digests(source([one]), file, () => now).lookUp(reference);
    now += 10_000_000;
    const digests = new Digests(source([new Error('no route')]), file, () => now);
    expect((await digests.lookUp(reference))?.manifest).toEqual(one);
    await digests.settled();
    expect(await digests.lookUp(reference)).toEqual({
      manifest: one,
      checkedAt: 1_000_000,
      problem: 'no route',
    });
  });

  test('one that was never reached is unknown, and isn’t asked with every request', async () => {
    const asked = source([new Error('no route')]);
    const digests = new Digests(asked, join(folder(), 'digests.json'), () => 1_000_000);
    expect(await digests.lookUp(reference)).toBeUndefined();
    expect(await digests.lookUp(reference)).toBeUndefined();
    expect(asked.asked).toBe(1);
  });

  test('one that hangs is waited for once, until it answers again', async () => {
    let now = 1_000_000;
    let hang = true;
    let ended: (() => void)[] = [];
    const hanging: ManifestSource = {
      async manifest() {
        if (!hang) return one;
        await new Promise<void>((resolve) => ended.push(resolve));
        throw new Error('it does not answer');
      },
    };
    const digests = new Digests(hanging, join(folder(), 'digests.json'), () => now);
    const first = digests.lookUp(reference);
    now += 10_000;
    for (const end of ended) end();
    expect(await first).toBeUndefined();
    now += 10_000;
    ended = [];
    // Asked again, and not waited for: nothing ends this question yet.
    expect(await digests.lookUp(reference)).toBeUndefined();
    expect(ended).toHaveLength(1);
    for (const end of ended) end();
    await digests.settled();
    hang = false;
    now += 10_000;
    await digests.lookUp(reference);
    await digests.settled();
    expect((await digests.lookUp(reference))?.manifest).toEqual(one);
  });

  test('a file that can’t be read is as none', async () => {
    const file = join(folder(), 'digests.json');
    writeFileSync(file, '{"version":1,"entries":{"x":{"manifest":3}}}');
    expect((await new Digests(source([one]), file).lookUp(reference))?.manifest).toEqual(one);
  });
});
