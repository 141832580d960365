/**
 * The rule `image-import`: images made from files or addresses instead of registries. `blockDockerLoad` refuses
 * `docker load` and `docker import` altogether; an import from an address reaches listed addresses only. moby puts
 * `http://` before an address without scheme.
 */
import { judgeAddress, queryValue } from './registry-findings.js';
import type { Denial, Finding, JudgedRequest, Rule } from './rule.js';

const rule = 'image-import';

export const imageImport: Rule = {
  id: 'image-import',
  summary:
    '`docker load` and `docker import` are refused with `blockDockerLoad`; `fromSrc` reaches listed addresses only.',
  setting: 'blockDockerLoad.value',
  whenIsolationIsOff: 'judges',
  routes: ['image.load', 'image.pull'],
  judge: (request) => {
    if (request.route.name === 'image.load') return blocked(request, 'path', 'docker load');
    return queryValue(request, 'fromImage') === '' ? judgeImport(request) : [];
  },
};

function judgeImport(request: JudgedRequest): readonly Finding[] {
  const field = 'query:fromSrc';
  const source = queryValue(request, 'fromSrc');
  const refused = blocked(request, field, 'docker import');
  if (source === '-') return refused;
  const url = source.includes('://') ? source : `http://${source}`;
  return [...refused, ...judgeAddress(rule, field, url, request)];
}

function blocked(request: JudgedRequest, field: string, command: string): readonly Denial[] {
  if (!request.settings.blockDockerLoad.value) return [];
  return [
    {
      kind: 'deny',
      rule,
      field,
      reason: `${command} is blocked by the administrators`,
      setting: 'blockDockerLoad.value',
      remedy: 'Pull the image from a registry instead.',
    },
  ];
}
