/**
 * The proof: a real container, and a real build by each of the engine's builders, made from nothing but the host's own
 * shell, that say which ids they really have. Sent the way a client would send it. What is made is removed again, also
 * when something fails.
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { requestOverSocket, type SocketAnswer, type SocketRequest } from '../system/unix-http.js';
import { bad, type Check, guarded, ok } from './check.js';

const cacheSchema = z.object({
  BuildCache: z.array(z.object({ ID: z.string(), Description: z.string() })).nullish(),
});

const wholeHost = 4_294_967_295;
/** The shell reads the map by itself: the image has no other program. */
const readMap = 'read -r inside outside size < /proc/self/uid_map; echo "uid_map $inside $outside $size"';

class Probe {
  readonly #name = `cofferdam-doctor-${randomUUID()}`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'cofferdam-doctor-'));

  constructor(private readonly socket: string) {}

  async container(): Promise<Check> {
    await this.#importImage();
    const body = {
      Image: this.#name,
      Cmd: ['/bin/sh', '-c', readMap],
      NetworkDisabled: true,
      HostConfig: { NetworkMode: 'none' },
    };
    await this.#succeed({
      method: 'POST',
      path: `/containers/create?name=${this.#name}`,
      body: JSON.stringify(body),
      contentType: 'application/json',
    });
    await this.#succeed({ method: 'POST', path: `/containers/${this.#name}/start` });
    await this.#succeed({ method: 'POST', path: `/containers/${this.#name}/wait` });
    const logs = await this.#succeed({
      method: 'GET',
      path: `/containers/${this.#name}/logs?stdout=1&stderr=1`,
    });
    return verdict('probe container', logs.body.toString('latin1'));
  }

  /** Builds with the engine's first builder, whose RUN steps are containers of the engine. */
  async build(): Promise<Check> {
    const answer = await this.#build('');
    return verdict('probe build', answer);
  }

  /** Builds with BuildKit, which starts RUN steps by itself. It tells of its progress in base64. */
  async buildkit(): Promise<Check> {
    const answer = await this.#build('&version=2&nocache=1');
    const told = [...answer.matchAll(/"aux":"([A-Za-z0-9+/=]+)"/g)];
    const progress = told.map(([, part]) => Buffer.from(part ?? '', 'base64').toString('latin1')).join('\n');
    return verdict('probe build by BuildKit', mapIn(progress) === undefined ? answer : progress);
  }

  async #build(more: string): Promise<string> {
    const context = join(this.#folder, 'context');
    mkdirSync(context, { recursive: true });
    writeFileSync(join(context, 'Dockerfile'), `FROM ${this.#name}\nRUN : ${this.#name}; ${readMap}\n`);
    const answer = await this.#succeed({
      method: 'POST',
      path: `/build?t=${this.#name}-build&rm=1&forcerm=1&networkmode=none${more}`,
      body: archive(context),
      contentType: 'application/x-tar',
    });
    return answer.body.toString();
  }

  async remove(): Promise<void> {
    for (const path of [
      `/containers/${this.#name}?force=1&v=1`,
      `/images/${this.#name}-build?force=1`,
      `/images/${this.#name}?force=1`,
    ]) {
      // What was never made can't be removed: nothing to report.
      await requestOverSocket(this.socket, { method: 'DELETE', path }).catch(() => undefined);
    }
    // The engine has a size limit of its own for its build cache: to fail here is no finding.
    await this.#forgetBuild().catch(() => undefined);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Removes the step from BuildKit's cache; the tar archive of the context is left to its garbage collection. */
  async #forgetBuild(): Promise<void> {
    const answer = await this.#succeed({ method: 'GET', path: '/system/df?type=build-cache' });
    const { BuildCache } = cacheSchema.parse(JSON.parse(answer.body.toString()));
    const own = (BuildCache ?? []).filter(({ Description }) => Description.includes(this.#name));
    for (const { ID } of own) {
      const filters = encodeURIComponent(JSON.stringify({ id: { [ID]: true } }));
      await this.#succeed({ method: 'POST', path: `/build/prune?all=1&filters=${filters}` });
    }
  }

  async #importImage(): Promise<void> {
    const root = join(this.#folder, 'root');
    for (const file of shellFiles()) {
      mkdirSync(join(root, dirname(file)), { recursive: true });
      copyFileSync(file, join(root, file));
    }
    mkdirSync(join(root, 'bin'), { recursive: true });
    copyFileSync('/bin/sh', join(root, 'bin/sh'));
    for (const folder of ['proc', 'dev', 'sys', 'etc', 'tmp'])
      mkdirSync(join(root, folder), { recursive: true });
    await this.#succeed({
      method: 'POST',
      path: `/images/create?fromSrc=-&repo=${this.#name}`,
      body: archive(root),
      contentType: 'application/x-tar',
    });
  }

  async #succeed(request: SocketRequest): Promise<SocketAnswer> {
    const answer = await requestOverSocket(this.socket, request);
    if (answer.status < 400) return answer;
    throw new Error(messageOf(answer.body.toString()));
  }
}

function messageOf(text: string): string {
  // A build that fails says so in the last of many lines.
  const [, error] = /"error":("(?:[^"\\]|\\.)*")/.exec(text) ?? [];
  if (error !== undefined) return z.string().parse(JSON.parse(error));
  try {
    return z.object({ message: z.string() }).parse(JSON.parse(text)).message;
  } catch {
    return text.trim();
  }
}

function archive(folder: string): Buffer {
  return execFileSync('tar', ['--numeric-owner', '--owner=0', '--group=0', '-C', folder, '-cf', '-', '.'], {
    maxBuffer: 256 * 1024 * 1024,
  });
}

/** The libraries that the host's shell is linked with, under the paths at which its loader looks for them. */
function shellFiles(): string[] {
  const { status, text } = linkage(realpathSync('/bin/sh'));
  return status === 0 ? [...text.matchAll(/(?:=>\s*)?(\/\S+) \(0x/g)].map(([, path]) => path ?? '') : [];
}

/** ldd's word on a program; it fails for one that is linked statically, which needs nothing more. */
function linkage(program: string): { status: number; text: string } {
  try {
    return {
      status: 0,
      text: execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    };
  } catch {
    readFileSync(program);
    return { status: 1, text: '' };
  }
}

/** What a probe said about its ids: `inside outside size`. */
function mapIn(output: string): readonly [string, number, number] | undefined {
  const [, inside, outside, size] = /uid_map (\d+) (\d+) (\d+)/.exec(output) ?? [];
  return inside === undefined ? undefined : [inside, Number(outside), Number(size)];
}

function verdict(name: string, output: string): Check {
  const found = mapIn(output);
  if (found === undefined) {
    return bad(
      name,
      `it did not say its ids: ${messageOf(output).slice(0, 300)}`,
      'see the log of the daemon and of the engine',
    );
  }
  const [inside, outside, size] = found;
  const map = `${inside} ${outside} ${size}`;
  return size < wholeHost && outside > 0
    ? ok(name, `runs as ids ${outside} to ${outside + size - 1} of the host (uid_map ${map})`)
    : bad(
        name,
        `runs with the host's own ids (uid_map ${map})`,
        'is isolation switched off? see `cofferdam status`',
      );
}

/** Runs the probes over a Docker socket. */
export async function probeIsolation(socket: string): Promise<Check[]> {
  const probe = new Probe(socket);
  try {
    const container = await guarded('probe container', 'see the log of the daemon and of the engine', () =>
      probe.container(),
    );
    const build = await guarded('probe build', 'see the log of the daemon and of the engine', () =>
      probe.build(),
    );
    const buildkit = await guarded(
      'probe build by BuildKit',
      'see the log of the daemon and of the engine',
      () => probe.buildkit(),
    );
    return [container, build, buildkit];
  } finally {
    await probe.remove();
  }
}
