/**
 * The rule `runtime`: which OCI runtime a container gets. With isolation on it is ours, whatever the client named;
 * with isolation off a container without a named runtime gets runc, because the engine's default is ours.
 * It must write the field explicitly: an absent HostConfig lets engines up to 26.1 read host fields from the top level
 * of the body (moby runconfig/config_unix.go), and an absent Runtime follows the engine's configuration.
 */
import { textAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Rule } from './rule.js';

/** The name under which the isolating runtime is registered with the engine. */
export const isolatingRuntime = 'sysbox-runc';

const field = '/HostConfig/Runtime';

export const runtime: Rule = {
  id: 'runtime',
  summary: `Every container runs on \`${isolatingRuntime}\`: \`HostConfig.Runtime\` is overridden silently.`,
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'judges',
  routes: ['container.create'],
  judge: (request) => {
    const named = textAt(request.body, field);
    const wanted = wantedRuntime(request, named);
    if (named === wanted) return [];
    return [assignment(wanted, named)];
  },
};

function wantedRuntime(request: JudgedRequest, named: string): string {
  if (request.settings.enhancedContainerIsolation.value) return isolatingRuntime;
  return named === '' ? 'runc' : named;
}

function assignment(value: string, named: string): Finding {
  const reason = named === '' ? `the runtime is ${value}` : `the runtime ${named} is replaced by ${value}`;
  return { kind: 'set', rule: 'runtime', field, value, reason };
}
