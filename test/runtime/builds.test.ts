/**
 * RUN steps of builds run in a user namespace with a range of their own, with BuildKit and the classic builder, and
 * the image that comes out has the owners that it would have without.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineOptions } from '../support/engines.js';
import { IsolatingEngine } from './support/isolating-engine.js';

const targets: readonly Pick<EngineOptions, 'version' | 'store'>[] = [
  { version: '20.10', store: 'overlay2' },
  { version: '26.1', store: 'overlay2' },
  { version: '28.5', store: 'containerd' },
];

describe.each(targets)('engine $version with $store', ({ version, store }) => {
  let isolating: IsolatingEngine;
  let context: string;
  beforeAll(async () => {
    isolating = await IsolatingEngine.start(store === undefined ? { version } : { version, store });
    context = mkdtempSync(join(tmpdir(), 'cofferdam-build-'));
    mkdirSync(join(context, 'folder'));
    writeFileSync(join(context, 'folder/file'), 'from the context\n');
    writeFileSync(join(context, 'password'), 'hidden\n');
  });
  afterAll(async () => {
    await isolating?.stop();
    rmSync(context, { recursive: true, force: true });
  });

  /** Builds, and returns everything that was printed. */
  async function build(buildKit: boolean, dockerfile: string, ...options: string[]): Promise<string> {
    writeFileSync(join(context, 'Dockerfile'), dockerfile);
    const { code, stdout, stderr } = await isolating.engine.dockerWith(
      { env: { DOCKER_BUILDKIT: buildKit ? '1' : '0' } },
      ...['build', '--no-cache', '--network', 'none', '--tag', 'built', ...options],
      ...(buildKit ? ['--progress', 'plain'] : []),
      context,
    );
    expect({ code, output: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, output: '' });
    return stdout + stderr;
  }

  const inImage = (text: string): Promise<string> =>
    isolating.docker('run', '--rm', '--network', 'none', 'built', 'sh', '-c', text);

  describe.each([true, false])('BuildKit: %s', (buildKit) => {
    test('every step has a range of its own, and owners are right', async () => {
      const output = await build(
        buildKit,
        `FROM busybox
RUN sed 's/^/map one/' /proc/self/uid_map && touch /root/of-root && mkdir /by && touch /by/app && chown 999:998 /by/app
RUN sed 's/^/map two/' /proc/self/uid_map && stat -c '%u:%g' /by/app /root/of-root && chmod 4755 /by/app
USER 999
RUN id && touch /tmp/of-app
COPY folder /copied
`,
      );
      const bases = [...output.matchAll(/map \w+\s+0\s+(\d+)\s+65536/g)].map((found) => Number(found[1]));
      expect(bases).toHaveLength(2);
      for (const base of bases) expect(base).toBeGreaterThanOrEqual(100_000);
      expect(new Set(bases).size).toBe(2);
      expect(output).toMatch(/999:998/);
      const shown = await inImage('stat -c "%u:%g %a %n" /root/of-root /by/app /tmp/of-app /copied/file');
      expect(shown.split('\n')).toEqual([
        '0:0 644 /root/of-root',
        '999:998 4755 /by/app',
        '999:999 644 /tmp/of-app',
        '0:0 644 /copied/file',
      ]);
    });

    test('a step that fails says so', async () => {
      writeFileSync(join(context, 'Dockerfile'), 'FROM busybox\nRUN exit 17\n');
      const { code, stdout, stderr } = await isolating.engine.dockerWith(
        { env: { DOCKER_BUILDKIT: buildKit ? '1' : '0' } },
        ...['build', '--no-cache', '--network', 'none', context],
      );
      expect(code).not.toBe(0);
      expect(stdout + stderr).toMatch(/17/);
    });
  });

  test('caches, secrets, binds and tmpfs of BuildKit’s RUN', async () => {
    const output = await build(
      true,
      `# syntax-free
FROM busybox AS other
RUN mkdir /made && echo made > /made/file && chown 5:6 /made/file
FROM busybox
RUN --mount=type=cache,target=/cache,uid=999,mode=0750 echo first > /cache/f && stat -c 'cache %u:%g %a' /cache
RUN --mount=type=cache,target=/cache,uid=999,mode=0750 cat /cache/f && stat -c 'file %u:%g' /cache/f
RUN --mount=type=secret,id=pw cat /run/secrets/pw && stat -c 'secret %u:%g %a' /run/secrets/pw
RUN --mount=type=bind,target=/ctx cat /ctx/folder/file
RUN --mount=type=bind,source=folder,target=/sub ls /sub
RUN --mount=type=bind,from=other,source=/made,target=/made cat /made/file && stat -c 'bound %u:%g' /made/file
RUN --mount=type=bind,from=other,target=/all,rw echo more >> /all/made/file && cat /all/made/file
RUN --mount=type=tmpfs,target=/t touch /t/f && stat -c 'tmpfs %u:%g' /t/f
`,
      '--secret',
      `id=pw,src=${join(context, 'password')}`,
    );
    for (const words of [
      'cache 999:0 750',
      'first',
      'file 0:0',
      'hidden',
      'secret 0:0 400',
      'from the context',
      'made',
      'bound 5:6',
      'more',
      'tmpfs 0:0',
    ]) {
      expect(output).toContain(words);
    }
  });

  test('a step’s root isn’t brought to the disk by itself, a container’s is', async () => {
    const root = `awk '$5 == "/"' /proc/self/mountinfo`;
    expect(await build(true, `FROM busybox\nRUN ${root} && echo kept > /kept && sync /kept`)).toMatch(
      / overlay overlay rw,\S*volatile/,
    );
    expect(await inImage(`${root}; cat /kept`)).toMatch(/ overlay overlay rw,((?!volatile).)*\nkept$/);
  });

  test('an ssh agent’s socket', async () => {
    const path = join(context, 'agent.sock');
    const agent = createServer((client) => client.end()).listen(path);
    try {
      const output = await build(
        true,
        'FROM busybox\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo socket is there\n',
        '--ssh',
        `default=${path}`,
      );
      expect(output).toContain('socket is there');
    } finally {
      agent.close();
      rmSync(path, { force: true });
    }
  });

  test('nothing is left of a build', async () => {
    await build(true, 'FROM busybox\nRUN true\n');
    await expect
      .poll(() => readdirSync(join(isolating.runDir, 'runtime/mounts')), { timeout: 10_000 })
      .toEqual([]);
    expect(isolating.ledger.list().filter((record) => record.process !== undefined)).toEqual([]);
  });
});
