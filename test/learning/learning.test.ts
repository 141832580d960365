import { describe, expect, it } from 'vitest';
import { type AuditLine, auditLineSchema } from '../../src/audit/record.js';
import { Observer } from '../../src/learning/observations.js';
import { Proposal } from '../../src/learning/proposal.js';
import { replay } from '../../src/learning/replay.js';
import { settingsSchema } from '../../src/settings/schema.js';

let sequence = 0;

function line(fields: object): AuditLine {
  sequence += 1;
  return auditLineSchema.parse({
    time: '2026-01-01T00:00:00.000Z',
    sequence,
    chain: '0'.repeat(64),
    event: 'request',
    method: 'POST',
    verdict: 'allowed',
    generation: 1,
    status: 200,
    milliseconds: 1,
    ...fields,
  });
}

const ryuk = 'docker.io/testcontainers/ryuk:0.12';
const holder = 'a'.repeat(64);
const within = { uid: 1000, gid: 1000, pid: 1, groups: [], container: holder };

/** A day on a host: a pull, a push, a container with a socket and what it does, a refused pull. */
const log: AuditLine[] = [
  line({ route: 'image.pull', image: 'docker.io/library/nginx:latest' }),
  line({ route: 'image.pull', image: 'docker.io/library/redis:7' }),
  line({ route: 'image.push', image: 'registry.example.com:5000/team/app:1' }),
  line({
    route: 'container.create',
    image: ryuk,
    objects: [holder],
    verdict: 'rewritten',
    rules: ['runtime', 'user-namespace', 'socket-mounts'],
    rewritten: ['/HostConfig/Runtime', '/Image'],
  }),
  line({ route: 'system.ping', caller: within }),
  line({ route: 'container.list', caller: within }),
  line({ route: 'container.delete', caller: within }),
  line({ route: 'volume.delete', caller: within }),
  line({
    route: 'image.pull',
    image: 'ghcr.io/someone/tool:1',
    verdict: 'denied',
    rules: ['registry-pull'],
    status: 403,
  }),
  line({ route: undefined, verdict: 'malformed', status: 400 }),
];

function observe(lines: readonly AuditLine[]) {
  const observer = new Observer();
  return lines.flatMap((entry) => observer.observe(entry) ?? []);
}

function changes(settings: object, lines = log) {
  const parsed = settingsSchema.parse(settings);
  return observe(lines).flatMap((request) => {
    const change = replay(request, parsed);
    return change === undefined ? [] : [[change.now, request.line.route, change.reason]];
  });
}

function proposed(): object {
  const proposal = new Proposal();
  for (const request of observe(log)) proposal.add(request);
  return proposal.settings();
}

describe('learn', () => {
  it('proposes no more than what the log shows', () => {
    expect(proposed()).toEqual({
      configurationFileVersion: 2,
      enhancedContainerIsolation: {
        value: true,
        locked: true,
        dockerSocketMount: {
          imageList: { images: [ryuk], allowDerivedImages: false },
          commandList: { type: 'allow', commands: [] },
          perImage: [{ image: ryuk, commandList: { type: 'allow', commands: ['ps', 'rm', 'volume*'] } }],
        },
      },
      registryAccess: {
        value: true,
        locked: true,
        registries: [
          { address: 'docker.io', repositories: ['library/nginx', 'library/redis'], allow: ['pull'] },
          { address: 'ghcr.io', repositories: ['someone/tool'], allow: ['pull'] },
          { address: 'registry.example.com:5000', repositories: ['team/app'], allow: ['push'] },
        ],
      },
      blockDockerLoad: { value: true, locked: true },
    });
  });

  it('proposes settings that are valid, and under which all of the log works', () => {
    expect(settingsSchema.safeParse(proposed()).success).toBe(true);
    expect(changes(proposed())).toEqual([['allowed', 'image.pull', undefined]]);
  });

  it('leaves images from files open where they were used', () => {
    const proposal = new Proposal();
    for (const request of observe([line({ route: 'image.load' })])) proposal.add(request);
    expect(proposal.settings()).toMatchObject({ blockDockerLoad: { value: false } });
  });
});

describe('replay', () => {
  it('says what a narrower list would refuse', () => {
    const registryAccess = {
      value: true,
      registries: [{ address: 'docker.io', repositories: ['library/nginx'] }],
    };
    const socket = { imageList: { images: ['docker.io/testcontainers/ryuk:*'] } };
    expect(
      changes({ registryAccess, enhancedContainerIsolation: { dockerSocketMount: socket } }).map(
        ([now, route]) => [now, route],
      ),
    ).toEqual([
      ['refused', 'image.pull'],
      ['refused', 'image.push'],
    ]);
  });

  it('says which commands a list would block, by the image of the container', () => {
    const dockerSocketMount = {
      imageList: { images: ['docker.io/testcontainers/ryuk:*'] },
      perImage: [
        { image: 'docker.io/testcontainers/ryuk:*', commandList: { type: 'allow', commands: ['ps'] } },
      ],
    };
    const found = changes({ enhancedContainerIsolation: { dockerSocketMount } });
    expect(found.filter(([now]) => now === 'refused')).toEqual([
      ['refused', 'container.delete', `the command list blocks container.delete for ${ryuk}`],
      ['refused', 'volume.delete', `the command list blocks volume.delete for ${ryuk}`],
    ]);
  });

  it('says that a socket, and all that came over it, would be refused', () => {
    expect(changes({}).map(([now, route]) => [now, route])).toEqual([
      ['refused', 'container.create'],
      ['refused', 'container.list'],
      ['refused', 'container.delete'],
      ['refused', 'volume.delete'],
      ['allowed', 'image.pull'],
    ]);
  });

  it('leaves what another rule refused as it was', () => {
    const refused = line({
      route: 'container.create',
      verdict: 'denied',
      rules: ['host-namespaces', 'runtime'],
      status: 403,
    });
    expect(changes({}, [refused])).toEqual([]);
  });

  it('knows images from files', () => {
    expect(changes({ blockDockerLoad: { value: true } }, [line({ route: 'image.load' })])).toEqual([
      ['refused', 'image.load', 'blockDockerLoad.value is true'],
    ]);
  });
});
