/**
 * The rule `host-namespaces`: no container shares a namespace with the host.
 * The texts are those of Docker Desktop, word for word: people search for them.
 */
import { findingsOf } from './finding.js';
import { membersAt, pointer, textAt, valueAt } from './json-pointer.js';
import type { Denial, Facts, Finding, JudgedRequest, Need, Rule } from './rule.js';

const { deny, set } = findingsOf('host-namespaces');
const endpoints = '/NetworkingConfig/EndpointsConfig';

const cause = '(because they use the linux user-namespace for isolation): unknown';
const specification =
  'failed to create shim task: OCI runtime create failed: error in the container spec: invalid or unsupported container spec:';

/** The namespaces that HostConfig can share with the host, and the modes that the engine knows besides `container:`. */
const modes = [
  { field: '/HostConfig/PidMode', name: 'pid', known: [''] },
  { field: '/HostConfig/IpcMode', name: 'ipc', known: ['', 'none', 'private', 'shareable'] },
  { field: '/HostConfig/UTSMode', name: 'uts', known: [''] },
] as const;

export const hostNamespaces: Rule = {
  id: 'host-namespaces',
  summary:
    'The host’s pid, network, ipc and uts namespaces are refused, by whatever name; an `IpcMode` whose default changed with the API version is written out.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'network.connect', 'service.create', 'service.update'],
  needs: (request) =>
    networkReferences(request).map(({ reference }): Need => ({ kind: 'network', ref: reference })),
  judge: (request, facts) => [
    ...(request.route.name === 'container.create' ? judgeModes(request) : []),
    ...judgeNetworks(request, facts),
  ],
};

function judgeModes(request: JudgedRequest): readonly Finding[] {
  const shared = modes.filter(({ field }) => textAt(request.body, field) === 'host').map(({ name }) => name);
  const findings: Finding[] = modes.flatMap(({ field, name, known }) => {
    const mode = textAt(request.body, field);
    if (mode === 'host') return [sharedNamespace(field, name, shared)];
    const joins = name !== 'uts' && mode.startsWith('container:');
    if (joins || known.some((other) => other === mode)) return [];
    return [
      deny(field, `${JSON.stringify(mode)} is not a namespace mode that is known here`, 'Leave it empty.', {
        status: 400,
      }),
    ];
  });
  // Below 1.40 the engine takes an empty mode as shareable, whatever its own default says.
  if (isBelow(request.apiVersion, 40) && textAt(request.body, '/HostConfig/IpcMode') === '') {
    findings.push(set('/HostConfig/IpcMode', 'shareable', 'what an empty mode means in this API version'));
  }
  return findings;
}

/** @param all the namespaces that the request wants of the host: the text lists them together */
function sharedNamespace(field: string, name: string, all: readonly string[]): Denial {
  return deny(
    field,
    `sharing the ${name} namespace of the host is refused`,
    'Leave the mode out: the container gets a namespace of its own.',
    {
      text: `${specification} sysbox containers can't share namespaces [${all.join(' ')}] with the host ${cause}`,
    },
  );
}

interface NetworkReference {
  readonly field: string;
  readonly reference: string;
}

function networkReferences(request: JudgedRequest): readonly NetworkReference[] {
  if (request.route.name === 'network.connect') {
    return [{ field: 'path', reference: request.params['id'] ?? '' }];
  }
  if (request.route.name !== 'container.create') return serviceNetworks(request);
  const mode = textAt(request.body, '/HostConfig/NetworkMode');
  return [
    { field: '/HostConfig/NetworkMode', reference: mode.startsWith('container:') ? '' : mode },
    ...membersAt(request.body, endpoints).flatMap(([name]) => {
      const field = endpoints + pointer(name);
      return [
        { field, reference: name },
        { field: `${field}/NetworkID`, reference: textAt(request.body, `${field}/NetworkID`) },
      ];
    }),
  ].filter(({ reference }) => !['', 'default', 'bridge', 'none'].includes(reference));
}

function serviceNetworks(request: JudgedRequest): readonly NetworkReference[] {
  return ['/TaskTemplate/Networks', '/Networks'].flatMap((list) => {
    const targets = valueAt(request.body, list);
    if (!Array.isArray(targets)) return [];
    return targets.flatMap((_target, index) => {
      const field = `${list}/${index}/Target`;
      const reference = textAt(request.body, field);
      return reference === '' ? [] : [{ field, reference }];
    });
  });
}

function judgeNetworks(request: JudgedRequest, facts: Facts): readonly Finding[] {
  return networkReferences(request)
    .filter(({ reference }) => reference === 'host' || facts.network(reference)?.driver === 'host')
    .map(({ field }) => hostNetwork(field));
}

function hostNetwork(field: string): Denial {
  const text = `${specification} sysbox containers can't share a network namespace with the host ${cause}`;
  return deny(
    field,
    'sharing the network namespace of the host is refused',
    'Publish ports instead, or reach services of the host by --add-host NAME:host-gateway.',
    {
      text: `${text}\nenhanced container isolation: the host's network could be shared only with the setting ${hostNamespaces.setting} off; publish ports instead, or reach services of the host by --add-host NAME:host-gateway`,
    },
  );
}

/** True for 1.MINOR versions below the given minor number. */
function isBelow(version: string, minor: number): boolean {
  return Number(version.split('.')[1]) < minor;
}
