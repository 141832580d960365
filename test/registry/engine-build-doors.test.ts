/**
 * The doors of BuildKit that docker's own commands have, on real engines and registries: with a list on, a registry
 * that isn't listed gets no connection at all, and a listed one works. Each is also tried without a list, where it does
 * connect. What no command sends is in engine-raw-builds.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineOptions } from '../support/engines.js';
import { build, buildDoors, containerdDoors, withPolicy } from './build-doors.js';
import { byPolicy, type Door, GuardedEngine, restricted } from './guarded-engine.js';

const kinds: readonly (readonly [string, EngineOptions])[] = [
  ['28.5 overlay2', { version: '28.5', store: 'overlay2' }],
  ['28.5 containerd', { version: '28.5', store: 'containerd', buildx: '0.29' }],
  ['26.1', { version: '26.1' }],
];

describe.each(kinds)('engine %s', (_title, options) => {
  let guarded: GuardedEngine;

  beforeAll(async () => {
    guarded = await GuardedEngine.start(options);
  });
  afterAll(() => guarded?.close());

  test.each(buildDoors)('%s', (_name, door, words) => guarded.expectClosed(door, words));

  if (options.store === 'containerd') {
    test.each(containerdDoors)('%s', (_name, door) => guarded.expectClosed(door, restricted));
  }

  test('a policy of the client that turns a listed image into another', () => {
    const rule = {
      action: 'CONVERT',
      selector: { identifier: guarded.filled('docker-image://GOOD/team/base:1') },
      updates: { identifier: guarded.filled('docker-image://EVIL/team/base:1') },
    };
    return guarded.expectClosed(withPolicy('FROM GOOD/team/base:1', rule), byPolicy);
  });

  describe('an image that is here, of a registry that is not listed', () => {
    beforeAll(() => guarded.engine.cli.must('tag', 'busybox', guarded.filled('EVIL/team/local:1')));
    afterAll(() => guarded.engine.cli.must('rmi', guarded.filled('EVIL/team/local:1')));

    test.each([
      ['FROM', build('FROM EVIL/team/local:1\nCOPY file /file')],
      ['COPY --from', build('FROM scratch\nCOPY --from=EVIL/team/local:1 /etc/passwd /')],
      [
        'RUN --mount from',
        build('FROM GOOD/team/base:1\nRUN --network=none --mount=from=EVIL/team/local:1,target=/m ls /m/bin'),
      ],
      [
        '--build-context',
        build('FROM o\nCOPY file /file', '--build-context', 'o=docker-image://EVIL/team/local:1'),
      ],
      [
        'bake, beside a target that pulls',
        (guarded) => {
          const folder = guarded.folder({
            'bake.hcl': `
group "default" { targets = ["here", "there"] }
target "here" { dockerfile-inline = "FROM EVIL/team/local:1\\nRUN --network=none true" }
target "there" {
  pull = true
  dockerfile-inline = "FROM GOOD/team/base:1\\nRUN --network=none true"
}`,
          });
          return guarded.docker(['buildx', 'bake', '--progress=plain', '--file', `${folder}/bake.hcl`]);
        },
      ],
    ] as const satisfies readonly (readonly [string, Door])[])(
      '%s works without a contact',
      async (_name, door) => {
        guarded.list({ localImages: true });
        await guarded.engine.cli.run(['buildx', 'prune', '-af']);
        const contacts = await guarded.evil.during(async () => {
          const { code, text } = await door(guarded);
          expect(code, text).toBe(0);
        });
        expect(contacts).toBe(0);
      },
    );

    test('--pull is refused, and everything without localImages', async () => {
      guarded.list({ localImages: true });
      const contacts = await guarded.evil.during(async () => {
        expect((await build('FROM EVIL/team/local:1', '--pull')(guarded)).code).not.toBe(0);
        guarded.list();
        expect((await build('FROM EVIL/team/local:1')(guarded)).text).toMatch(byPolicy);
      });
      expect(contacts).toBe(0);
    });
  });

  test('a listed registry works', async () => {
    guarded.list();
    await guarded.forget();
    const contacts = await guarded.evil.during(async () => {
      const dockerfile = 'FROM GOOD/team/base:1\nRUN --network=none true\nCOPY file /file';
      const { code, text } = await build(dockerfile, '-t', 'made')(guarded);
      expect(code, text).toBe(0);
    });
    expect(contacts).toBe(0);
  });
});
