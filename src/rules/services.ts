/**
 * The rule `services`: what a swarm service has beyond a container. The rules about containers judge its task; this one
 * judges the kinds of tasks that aren't containers. For a rollback all of them judge the specification that comes back
 * (service-rollback.ts).
 */
import { isRootCaller } from './callers.js';
import { findingsOf } from './finding.js';
import { membersAt, textAt, valueAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

const { deny } = findingsOf('services');
const task = '/TaskTemplate';

export const services: Rule = {
  id: 'services',
  summary:
    'Services are judged like containers, on create and update, and for `rollback=previous` by the specification that comes back; plugin tasks and foreign isolation technologies are refused.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['service.create', 'service.update', 'secret.create', 'config.create'],
  judge: (request) =>
    request.route.name.startsWith('service.') ? judgeService(request) : judgeDriver(request),
};

function judgeService(request: JudgedRequest): readonly Finding[] {
  const findings: Finding[] = [];
  const runtime = textAt(request.body, `${task}/Runtime`);
  if (runtime !== '' && runtime !== 'container' && !(runtime === 'plugin' && isRootCaller(request.caller))) {
    findings.push(
      deny(`${task}/Runtime`, `tasks of the kind ${runtime} run outside of containers`, 'Use a container.'),
    );
  }
  if (membersAt(request.body, `${task}/PluginSpec`).length > 0 && !isRootCaller(request.caller)) {
    findings.push(deny(`${task}/PluginSpec`, 'plugin tasks run as root', 'Use a container.'));
  }
  if (membersAt(request.body, `${task}/NetworkAttachmentSpec`).length > 0) {
    findings.push(
      deny(`${task}/NetworkAttachmentSpec`, 'attachment tasks are the engine’s own', 'Use a container.'),
    );
  }
  for (const field of [
    `${task}/ContainerSpec/Isolation`,
    `${task}/ContainerSpec/Privileges/CredentialSpec`,
  ]) {
    const value = valueAt(request.body, field);
    if (isSet(value) && value !== 'default')
      findings.push(deny(field, 'this is for Windows only', 'Leave it out.'));
  }
  const rollback = request.query.get('rollback')?.[0] ?? '';
  if (!['', 'none', 'previous'].includes(rollback)) {
    const text = `unrecognized rollback option ${rollback}`;
    findings.push(deny('query:rollback', text, 'Use previous, or leave it out.', { status: 400 }));
  }
  return findings;
}

/** A secret's or config's driver is a plugin. */
function judgeDriver(request: JudgedRequest): readonly Finding[] {
  const driver = textAt(request.body, '/Driver/Name');
  if (driver === '') return [];
  return [
    deny('/Driver/Name', `the driver ${driver} is refused: plugins run as root`, 'Leave the driver out.'),
  ];
}

function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}
