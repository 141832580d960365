/**
 * A docker-registry with TLS by a private authority and token authentication (distribution's `auth: token`), and the
 * token server that belongs to it: whoever comes without credentials may pull `open/…`, and `ci` may do everything.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash, createPublicKey, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { answers, freePort } from './registries.js';

/** What engines and our own client trust, by registry. */
const certificatesFolder = '/etc/docker/certs.d';

export const credentials = { username: 'ci', password: 'secret' };

export class TokenRegistry {
  readonly address: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #tokens: Server;
  readonly #trusted: readonly string[];

  private constructor(
    address: string,
    folder: string,
    child: ChildProcess,
    tokens: Server,
    trusted: readonly string[],
  ) {
    this.address = address;
    this.#folder = folder;
    this.#child = child;
    this.#tokens = tokens;
    this.#trusted = trusted;
  }

  static async start(): Promise<TokenRegistry> {
    const folder = mkdtempSync(join(tmpdir(), 'cofferdam-token-registry-'));
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'ca.crt')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const options = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
    execFileSync('openssl', ['req', ...options, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    const keys = { key: readFileSync(key), cert: readFileSync(certificate) };
    const tokens = createServer(keys, (request, response) => {
      const url = new URL(request.url ?? '', 'https://localhost');
      const known = request.headers.authorization === basic();
      response.setHeader('Content-Type', 'application/json');
      if (request.headers.authorization !== undefined && !known)
        return void response.writeHead(401).end('{}');
      response.end(JSON.stringify({ token: token(keys, url.searchParams.getAll('scope'), known) }));
    });
    tokens.listen(0, '127.0.0.1');
    await once(tokens, 'listening');
    const realm = `127.0.0.1:${(tokens.address() as AddressInfo).port}`;
    const port = await freePort();
    const configuration = {
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      http: { addr: `127.0.0.1:${port}`, tls: { certificate, key } },
      auth: {
        token: {
          realm: `https://${realm}/token`,
          service: 'test',
          issuer: 'test',
          rootcertbundle: certificate,
        },
      },
    };
    // JSON is YAML.
    writeFileSync(join(folder, 'config.yml'), JSON.stringify(configuration));
    const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
    const address = `127.0.0.1:${port}`;
    const trusted = [address, realm].map((host) => join(certificatesFolder, host));
    for (const place of trusted) {
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, 'ca.crt'), keys.cert);
    }
    for (let waited = 0; !(await answers(port)); waited += 20) {
      if (child.exitCode !== null || waited > 20_000) throw new Error('docker-registry does not start');
      await sleep(20);
    }
    return new TokenRegistry(address, folder, child, tokens, trusted);
  }

  async close(): Promise<void> {
    for (const place of this.#trusted) rmSync(place, { recursive: true, force: true });
    this.#tokens.closeAllConnections();
    this.#tokens.close();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit');
      this.#child.kill();
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function basic(): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
}

/** A signed token for what was asked, as far as it may be had. */
function token(keys: { key: Buffer; cert: Buffer }, scopes: readonly string[], known: boolean): string {
  const access = scopes.flatMap((scope) => {
    const [type = '', name = '', actions = ''] = scope.split(':');
    const wanted = actions
      .split(',')
      .filter((action) => known || (action === 'pull' && name.startsWith('open/')));
    return wanted.length === 0 ? [] : [{ type, name, actions: wanted }];
  });
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'test',
    aud: 'test',
    sub: known ? credentials.username : '',
    jti: randomUUID(),
    access,
  };
  const der = keys.cert.toString().replace(/-----[A-Z ]+-----|\s/g, '');
  const header = { typ: 'JWT', alg: 'RS256', x5c: [der], kid: keyId(keys.cert) };
  const body = [header, { ...claims, iat: now, nbf: now - 10, exp: now + 3600 }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${body}.${sign('sha256', Buffer.from(body), keys.key).toString('base64url')}`;
}

/** libtrust's id of a key: the first 240 bits of the hash of its DER form, in groups of four base32 digits. */
function keyId(certificate: Buffer): string {
  const der = createPublicKey(certificate).export({ type: 'spki', format: 'der' });
  const bits = [...createHash('sha256').update(der).digest().subarray(0, 30)]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');
  const digits = (bits.match(/.{5}/g) ?? []).map(
    (five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)],
  );
  return (digits.join('').match(/.{4}/g) ?? []).join(':');
}
