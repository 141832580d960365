/**
 * The rule `user-namespace`: a container always gets user and cgroup namespaces of its own. A wish for the host's is
 * dropped silently, as Docker Desktop does: the container starts, isolated.
 * CgroupnsMode is written in every API version: below 1.41 an empty one means the host's on cgroup v1 (moby
 * daemon/server/router/container), and every supported engine decodes the field whatever the version in the path.
 */
import { textAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

const userField = '/HostConfig/UsernsMode';
const cgroupField = '/HostConfig/CgroupnsMode';
const setting = 'enhancedContainerIsolation.value';

export const userNamespace: Rule = {
  id: 'user-namespace',
  summary:
    '`UsernsMode: host` is removed, and `CgroupnsMode` becomes `private`: both namespaces are always the container’s own.',
  setting,
  whenIsolationIsOff: 'rests',
  routes: ['container.create'],
  judge: (request) => [...judgeUserNamespace(request), ...judgeCgroupNamespace(request)],
};

function judgeUserNamespace(request: JudgedRequest): readonly Finding[] {
  const mode = textAt(request.body, userField);
  if (mode === '') return [];
  if (mode === 'host') {
    const reason = 'the container keeps a user namespace of its own';
    return [{ kind: 'set', rule: 'user-namespace', field: userField, value: undefined, reason }];
  }
  return [unknownMode(userField, mode, 'Leave it empty.')];
}

function judgeCgroupNamespace(request: JudgedRequest): readonly Finding[] {
  const mode = textAt(request.body, cgroupField);
  if (mode === 'private') return [];
  if (mode === '' || mode === 'host') {
    const reason = 'the container gets a cgroup namespace of its own';
    return [{ kind: 'set', rule: 'user-namespace', field: cgroupField, value: 'private', reason }];
  }
  return [unknownMode(cgroupField, mode, 'Use private, or leave it empty.')];
}

function unknownMode(field: string, mode: string, remedy: string): Finding {
  const reason = `${JSON.stringify(mode)} is not a namespace mode that is known here`;
  return { kind: 'deny', rule: 'user-namespace', field, reason, setting, remedy, status: 400 };
}
