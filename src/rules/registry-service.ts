/**
 * The rule `registry-service`: a service's images and plugins are pulled by the engine itself, on any node, long after
 * the request: they must come from listed registries.
 */
import { parseReference } from '../registry/reference.js';
import { textAt } from './json-pointer.js';
import { judgeReference } from './registry-findings.js';
import type { Rule } from './rule.js';

const rule = 'registry-service';
const fields = [
  '/TaskTemplate/ContainerSpec/Image',
  '/TaskTemplate/PluginSpec/Remote',
  '/TaskTemplate/PluginSpec/remote',
];

export const registryService: Rule = {
  id: 'registry-service',
  summary: 'Images and plugins of services come from listed registries only.',
  setting: 'registryAccess.registries',
  whenIsolationIsOff: 'judges',
  routes: ['service.create', 'service.update'],
  judge: (request) =>
    fields.flatMap((field) => {
      const name = textAt(request.body, field);
      if (name === '') return [];
      return judgeReference(rule, field, 'pull', request, () => parseReference(name));
    }),
};
