/**
 * The rule `seccomp-listeners`: a seccomp profile may name a Unix socket that the runtime connects to as host root and
 * hands a descriptor and chosen data to (OCI runtime specification, `listenerPath`). Profiles pass, listeners don't.
 */
import { containerRoutes } from './body-places.js';
import { findingsOf } from './finding.js';
import { textAt, textsAt } from './json-pointer.js';
import type { JudgedRequest, Rule } from './rule.js';

const { deny } = findingsOf('seccomp-listeners');
const options = '/HostConfig/SecurityOpt';
const serviceProfile = '/TaskTemplate/ContainerSpec/Privileges/Seccomp/Profile';

export const seccompListeners: Rule = {
  id: 'seccomp-listeners',
  summary:
    'Seccomp profiles with a `listenerPath` are refused; all other profiles and security options pass.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: containerRoutes,
  judge: (request) =>
    profiles(request)
      .filter(({ profile }) => namesListener(profile))
      .map(({ field }) =>
        deny(field, 'the profile names a seccomp listener, a socket of the host', 'Leave out listenerPath.'),
      ),
};

interface Profile {
  readonly field: string;
  readonly profile: string;
}

/** A container's profiles are options, a service's is bytes (moby daemon/cluster/executor/container). */
function profiles(request: JudgedRequest): readonly Profile[] {
  if (request.route.name !== 'container.create') {
    const bytes = textAt(request.body, serviceProfile);
    return [{ field: serviceProfile, profile: Buffer.from(bytes, 'base64').toString('utf8') }];
  }
  return textsAt(request.body, options)
    .filter(([, option]) => /^seccomp[=:]/.test(option))
    .map(([index, option]) => ({
      field: `${options}/${index}`,
      profile: option.slice('seccomp='.length),
    }));
}

/** Go matches keys whatever their case, with ſ as s: so does this. What isn't JSON is a profile's name. */
function namesListener(profile: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(profile);
  } catch {
    return folded(profile).includes('listener');
  }
  // Go reads ten thousand levels: more than calls of a function go deep.
  const parts = [value];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (typeof part !== 'object' || part === null) continue;
    for (const [key, below] of Object.entries(part)) {
      if (folded(key) === 'listenerpath') return true;
      parts.push(below);
    }
  }
  return false;
}

function folded(text: string): string {
  return text.replaceAll('ſ', 's').toLowerCase();
}
