/**
 * The rule `registry-login`: the engine carries credentials to listed registries only. moby puts `https://` before an
 * address without scheme, and takes the host of the URL (registry/service.go, Auth); user names, escapes and anything
 * else that two URL parsers could read differently are refused.
 */
import { judgeHost } from '../registry/policy.js';
import { textAt } from './json-pointer.js';
import { registryDenial } from './registry-findings.js';
import type { Denial, Rule } from './rule.js';

const field = '/serveraddress';
const address =
  /^(?:https?:\/\/)?([A-Za-z0-9._-]+(?::[0-9]+)?|\[[0-9A-Fa-f:]+\](?::[0-9]+)?)(?:\/[A-Za-z0-9._/-]*)?$/;

export const registryLogin: Rule = {
  id: 'registry-login',
  summary: 'Logging in (`serveraddress`) reaches listed registries only.',
  setting: 'registryAccess.registries',
  whenIsolationIsOff: 'judges',
  routes: ['system.auth'],
  judge: (request) => {
    if (!request.settings.registryAccess.value) return [];
    const text = textAt(request.body, field);
    const host = text === '' ? 'docker.io' : address.exec(text)?.[1];
    if (host === undefined) return [unreadable(text)];
    const refusal = judgeHost(host, request.settings);
    return refusal === undefined ? [] : [registryDenial('registry-login', field, refusal)];
  },
};

function unreadable(text: string): Denial {
  return {
    kind: 'deny',
    rule: 'registry-login',
    field,
    reason: `${JSON.stringify(text)} is no plain address of a registry`,
    setting: 'registryAccess.registries',
    remedy: 'Write it as HOST[:PORT] or https://HOST[:PORT].',
    status: 400,
  };
}
