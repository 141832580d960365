/**
 * The rule `seccomp-listeners`: a seccomp profile may name a Unix socket that the runtime connects to as host root and
 * hands a descriptor and chosen data to (OCI runtime specification, `listenerPath`). Profiles pass, listeners don't.
 */
import { findingsOf } from './finding.js';
import { textsAt } from './json-pointer.js';
import type { Rule } from './rule.js';

const { deny } = findingsOf('seccomp-listeners');
const field = '/HostConfig/SecurityOpt';

export const seccompListeners: Rule = {
  id: 'seccomp-listeners',
  summary:
    'Seccomp profiles with a `listenerPath` are refused; all other profiles and security options pass.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create'],
  judge: (request) =>
    textsAt(request.body, field)
      .filter(([, option]) => /^seccomp[=:]/.test(option) && namesListener(option.slice('seccomp='.length)))
      .map(([index]) =>
        deny(
          `${field}/${index}`,
          'the profile names a seccomp listener, a socket of the host',
          'Leave out listenerPath.',
        ),
      ),
};

/** Go matches keys whatever their case, with ſ as s: so does this. What isn't JSON is a profile's name. */
function namesListener(profile: string): boolean {
  try {
    return mentions(JSON.parse(profile));
  } catch {
    return profile.toLowerCase().includes('listener');
  }
}

function mentions(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([key, part]) => key.replaceAll('ſ', 's').toLowerCase() === 'listenerpath' || mentions(part),
  );
}
