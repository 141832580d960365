/**
 * The rule `administration`: what changes the engine itself is for callers that are root on the host already. A plugin
 * is a program that runs as root, a swarm lets another machine run things here, a checkpoint's folder is any folder.
 */
import { isRootCaller } from './callers.js';
import { findingsOf } from './finding.js';
import type { Denial, JudgedRequest, Rule } from './rule.js';

const { deny } = findingsOf('administration');

const routes = [
  'plugin.privileges',
  'plugin.pull',
  'plugin.create',
  'plugin.enable',
  'plugin.disable',
  'plugin.upgrade',
  'plugin.push',
  'plugin.set',
  'plugin.delete',
  'swarm.inspect',
  'swarm.init',
  'swarm.join',
  'swarm.leave',
  'swarm.update',
  'swarm.unlock-key',
  'swarm.unlock',
  'node.update',
  'node.delete',
  'volume.update',
  'checkpoint.list',
  'checkpoint.create',
  'checkpoint.delete',
  'debug.vars',
  'debug.pprof-index',
  'debug.pprof-cmdline',
  'debug.pprof-profile',
  'debug.pprof-symbol',
  'debug.pprof-trace',
  'debug.pprof',
];

export const administration: Rule = {
  id: 'administration',
  summary:
    'Plugins, swarm and node management, cluster volumes, checkpoints and `/debug` are for callers with uid 0 on the socket, never for a container’s socket.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: [...routes, 'container.start'],
  judge: (request) => {
    if (isRootCaller(request.caller)) return [];
    if (request.route.name === 'container.start') return judgeStart(request);
    const what = request.route.name.split('.')[0] ?? '';
    return [deny('path', `${nouns[what] ?? what} for root only (uid ${request.caller.uid} asks)`, remedy)];
  },
};

const remedy = 'Ask the administrator.';
const nouns: Readonly<Record<string, string>> = {
  plugin: 'managing plugins is',
  swarm: 'managing a swarm is',
  node: 'managing nodes is',
  volume: 'changing cluster volumes is',
  checkpoint: 'checkpoints are',
  debug: 'the debug endpoints are',
};

/** A start from a checkpoint reads images of processes, which the engine restores as root. */
function judgeStart(request: JudgedRequest): readonly Denial[] {
  return ['checkpoint', 'checkpoint-dir']
    .filter((name) => request.query.get(name)?.some((value) => value !== ''))
    .map((name) => deny(`query:${name}`, 'checkpoints are for root only', remedy));
}
