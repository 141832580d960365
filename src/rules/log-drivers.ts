/**
 * The rule `log-drivers`: log drivers run in the engine, as host root. Their options must not make it speak to a Unix
 * socket of the host, read a file of the host or fetch credentials of the host (moby daemon/logger).
 */
import { containerRoutes, placesOf } from './body-places.js';
import { findingsOf } from './finding.js';
import { membersAt, pointer, textAt } from './json-pointer.js';
import type { Finding, Rule } from './rule.js';

const { deny } = findingsOf('log-drivers');

/** The engine's own drivers; others are plugins, which run as root. `logentries` was dropped with engine 25. */
const drivers = [
  '',
  'none',
  'local',
  'json-file',
  'journald',
  'syslog',
  'gelf',
  'fluentd',
  'splunk',
  'awslogs',
  'gcplogs',
  'logentries',
];

/** Options that name a file of the host, which the engine would read as root. */
const fileOptions = ['syslog-tls-ca-cert', 'syslog-tls-cert', 'syslog-tls-key', 'splunk-capath'];
/** Options that make the engine fetch credentials for itself. */
const credentialOptions = ['awslogs-credentials-endpoint'];
/**
 * Addresses that leave the host by the network: with one of these schemes, or HOST and HOST:PORT. Nothing else, because
 * Go's url.Parse finds the scheme unix in `unix:/path` as well as in `unix:///path`.
 */
const networkAddress = /^(tcp|udp|tls|tcp\+tls|http|https):\/\/|^[\w.-]+(:\d+)?$|^\[[\da-f:.%\w]+\](:\d+)?$/i;

export const logDrivers: Rule = {
  id: 'log-drivers',
  summary:
    'Log drivers may not connect to Unix sockets of the host, read its key files or use its credentials; drivers from plugins are refused.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: containerRoutes,
  judge: (request) => {
    const { logDriver = '', logOptions = '' } = placesOf(request);
    const driver = textAt(request.body, logDriver);
    const unknown = drivers.includes(driver)
      ? []
      : [
          deny(
            logDriver,
            `the log driver ${JSON.stringify(driver)} is refused: plugins run as root on the host`,
            'Use one of the engine’s own log drivers.',
          ),
        ];
    const options = membersAt(request.body, logOptions);
    return [
      ...unknown,
      ...options.flatMap(([name, value]) => judgeOption(logOptions + pointer(name), name, value)),
    ];
  },
};

function judgeOption(field: string, name: string, value: unknown): readonly Finding[] {
  const text = typeof value === 'string' ? value : '';
  if (fileOptions.includes(name) && text !== '') {
    return [deny(field, `the engine would read ${text} of the host as root`, 'Leave the option out.')];
  }
  if (credentialOptions.includes(name) && text !== '') {
    return [deny(field, 'the engine would fetch credentials of the host', 'Leave the option out.')];
  }
  const isAddress = name.endsWith('-address') || name.endsWith('-url') || name.endsWith('-endpoint');
  if (!isAddress || text === '' || networkAddress.test(text)) return [];
  return [
    deny(
      field,
      `the engine would connect to ${text} as root`,
      'Use an address of the network; without an address syslog uses the host’s own log.',
    ),
  ];
}
