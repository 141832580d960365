/**
 * The rule `engine-preparation`: nothing is made that the engine wouldn't isolate. An engine without our runtime
 * answers a create with words that say nothing to its user, and runs build steps as the host's root without a word.
 */
import { findingsOf } from './finding.js';
import type { EnginePreparation, JudgedRequest, Rule } from './rule.js';

const { deny } = findingsOf('engine-preparation');

const remedy = 'An administrator runs `cofferdam setup`, which says what else is to be done.';

export const enginePreparation: Rule = {
  id: 'engine-preparation',
  summary:
    'Creates, services and builds are refused while the engine lacks our runtime (`cofferdam setup` registers it).',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'service.create', 'service.update', 'image.build', 'build.grpc'],
  judge: (request) => {
    const missing = missingPart(request, request.engine.preparation);
    if (missing === undefined) return [];
    return [deny('path', missing, remedy)];
  },
};

const nothing: EnginePreparation = { runtime: false, defaultRuntime: false, builds: false };

function missingPart(request: JudgedRequest, known = nothing): string | undefined {
  if (!known.runtime) return 'the engine lacks the isolating runtime `sysbox-runc`';
  if (request.route.name === 'container.create') return undefined;
  if (!known.defaultRuntime) return 'the isolating runtime is not the default runtime of the engine';
  if (request.route.name.startsWith('service.')) return undefined;
  // The classic builder's steps are containers on the default runtime; only version=2 is BuildKit's.
  const buildkit = request.route.name !== 'image.build' || request.query.get('version')?.[0] === '2';
  return buildkit && !known.builds
    ? 'the engine would run the RUN steps of builds without isolation'
    : undefined;
}
