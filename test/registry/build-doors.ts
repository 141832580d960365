/** The doors of BuildKit that docker's own commands have. */
import { byPolicy, type Door, restricted } from './guarded-engine.js';

/** A build by `docker buildx build`. */
export const build =
  (dockerfile: string, ...flags: readonly string[]): Door =>
  (guarded) => {
    const folder = guarded.folder({ Dockerfile: dockerfile, file: 'x' });
    return guarded.docker(['buildx', 'build', '--progress=plain', '--provenance=false', ...flags, folder]);
  };

/** A build whose context the engine fetches itself. */
const remote =
  (context: string): Door =>
  (guarded) =>
    guarded.docker(['buildx', 'build', '--progress=plain', context]);

export const withPolicy =
  (dockerfile: string, ...rules: readonly object[]): Door =>
  (guarded) => {
    const folder = guarded.folder({
      Dockerfile: dockerfile,
      'policy.json': JSON.stringify({ version: 1, rules }),
    });
    return guarded.docker(['buildx', 'build', '--progress=plain', folder], {
      env: { EXPERIMENTAL_BUILDKIT_SOURCE_POLICY: `${folder}/policy.json` },
    });
  };

const copied = 'FROM scratch\nCOPY file /';

/** What every BuildKit has that can be held to a list. */
export const buildDoors: readonly (readonly [string, Door, RegExp])[] = [
  ['FROM', build('FROM EVIL/team/base:1'), byPolicy],
  ['FROM with --pull', build('FROM EVIL/team/base:1', '--pull'), byPolicy],
  ['FROM by digest', build(`FROM EVIL/team/base@sha256:${'a'.repeat(64)}`), byPolicy],
  ['FROM by ARG', build('ARG BASE\nFROM $BASE', '--build-arg', 'BASE=EVIL/team/base:1'), byPolicy],
  ['FROM of another platform', build('FROM --platform=linux/arm64 EVIL/team/base:1'), byPolicy],
  ['COPY --from', build('FROM scratch\nCOPY --from=EVIL/team/base:1 /etc /etc'), byPolicy],
  [
    'RUN --mount from',
    build(
      'FROM GOOD/team/base:1\nRUN --network=none --mount=type=bind,from=EVIL/team/base:1,target=/m ls /m',
    ),
    byPolicy,
  ],
  ['# syntax=', build('# syntax=EVIL/team/base:1\nFROM scratch'), byPolicy],
  ['BUILDKIT_SYNTAX', build(copied, '--build-arg', 'BUILDKIT_SYNTAX=EVIL/team/base:1'), restricted],
  [
    '--build-context',
    build('FROM scratch\nCOPY --from=o /etc /etc', '--build-context', 'o=docker-image://EVIL/team/base:1'),
    byPolicy,
  ],
  [
    '--build-context of a Git repository',
    build('FROM scratch\nCOPY --from=o /x /x', '--build-context', 'o=http://EVIL/team/x.git'),
    byPolicy,
  ],
  [
    'a context that overrides a listed name',
    build('FROM GOOD/team/base:1', '--build-context', 'GOOD/team/base:1=docker-image://EVIL/team/base:1'),
    byPolicy,
  ],
  ['ADD of an address', build('FROM scratch\nADD http://EVIL/v2/ /x'), byPolicy],
  ['ADD of a Git repository', build('FROM scratch\nADD http://EVIL/team/x.git /x'), byPolicy],
  ['a remote context', remote('http://EVIL/context.tar'), byPolicy],
  ['a Git context', remote('http://EVIL/team/x.git'), byPolicy],
  ['--cache-from', build(copied, '--cache-from', 'EVIL/team/cache:1'), restricted],
  [
    'compose build',
    (guarded) => {
      const folder = guarded.folder({
        'compose.yaml': 'services: { one: { build: . } }',
        Dockerfile: 'FROM EVIL/team/base:1',
      });
      return guarded.docker(['compose', '--file', `${folder}/compose.yaml`, 'build']);
    },
    byPolicy,
  ],
  [
    'bake',
    (guarded) => {
      const folder = guarded.folder({
        'bake.hcl': 'target "default" { dockerfile-inline = "FROM EVIL/team/base:1" }',
      });
      return guarded.docker(['buildx', 'bake', '--progress=plain', '--file', `${folder}/bake.hcl`]);
    },
    byPolicy,
  ],
  [
    'what a listed base adds to the build',
    async (guarded) => {
      const trigger = guarded.filled('GOOD/team/trigger:1');
      const folder = guarded.folder({
        Dockerfile: 'FROM scratch\nONBUILD ADD http://EVIL/v2/ /x\nCOPY Dockerfile /',
      });
      const { cli } = guarded.engine;
      await cli.must('buildx', 'build', '--provenance=false', '-t', trigger, folder);
      await cli.must('push', trigger);
      await cli.must('rmi', trigger);
      await cli.must('buildx', 'prune', '-af');
      return build(`FROM ${trigger}`)(guarded);
    },
    byPolicy,
  ],
  [
    'a policy of the client that allows everything',
    withPolicy('FROM EVIL/team/base:1', {
      action: 'ALLOW',
      selector: { identifier: '^', matchType: 'REGEX' },
    }),
    byPolicy,
  ],
  [
    'a policy of the client that takes the name of our denial and never holds',
    withPolicy('FROM EVIL/team/base:1', {
      action: 'DENY',
      selector: {
        identifier: '^',
        matchType: 'REGEX',
        constraints: [{ key: 'no', value: 'such', condition: 'EQUAL' }],
      },
    }),
    byPolicy,
  ],
];

// With overlay2 dockerd's BuildKit neither pushes nor exports caches itself.
export const containerdDoors: readonly (readonly [string, Door])[] = [
  ['a pushing exporter', build(copied, '--output', 'type=image,name=EVIL/team/x:1,push=true')],
  ['--push', build(copied, '-t', 'EVIL/team/x:1', '--push')],
  ['a cache export', build(copied, '--cache-to', 'type=registry,ref=EVIL/team/cache:1')],
  [
    'a scanner of attestations',
    build('FROM GOOD/team/base:1', '--attest', 'type=sbom,generator=EVIL/team/base:1'),
  ],
];
