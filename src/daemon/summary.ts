/**
 * What `cofferdam run` tells the person who started it: one screen, before the log begins.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Status } from '../control/status.js';

export interface SummaryFacts {
  readonly status: Status;
  readonly embedded: boolean;
  readonly backend: string;
  readonly cliPlugins: string | undefined;
  /** What can't be done on this host, one line each. */
  readonly warnings: readonly string[];
  /** What setup would change, and what the person has to do for it; none when the engine is prepared. */
  readonly setup: readonly string[];
}

/** The lines of the summary. */
export function summary(facts: SummaryFacts): string[] {
  const { status } = facts;
  const { isolation, locked, onlyWarning } = status.settings;
  const engine = `${status.engine.version ?? 'not answering'} (API ${status.engine.apiVersion ?? '?'})`;
  return [
    `cofferdam ${status.version}`,
    line('engine', `${engine} at ${status.engine.address}${facts.embedded ? ', embedded' : ''}`),
    line('runtime', facts.backend),
    line('settings', `${status.settings.path}${status.settings.source === 'shipped' ? ' (shipped)' : ''}`),
    line('isolation', `${isolation.value ? 'on' : 'off'}${isolation.locked ? ', locked' : ''}`),
    ...(locked.length > 0 ? [line('locked', locked.join(', '))] : []),
    ...(onlyWarning.length > 0 ? [line('only warns', onlyWarning.join(', '))] : []),
    line('socket', status.listen.join(', ')),
    ...facts.warnings.map((warning) => line('note', warning)),
    ...plugins(facts.cliPlugins),
    ...(facts.setup.length > 0 ? ['', ...facts.setup] : []),
    '',
    `  export DOCKER_HOST=${status.listen[0] ?? ''}`,
    '',
  ];
}

function line(title: string, text: string): string {
  return `  ${title.padEnd(10)} ${text}`;
}

/** The docker CLI looks for plugins in these folders by itself (docker/cli, cli-plugins/manager). */
const pluginFolders = [
  '/usr/local/lib/docker/cli-plugins',
  '/usr/libexec/docker/cli-plugins',
  '/usr/lib/docker/cli-plugins',
];

function plugins(folder: string | undefined): string[] {
  if (folder === undefined) return [];
  const missing = ['docker-buildx', 'docker-compose'].filter(
    (name) => existsSync(join(folder, name)) && !pluginFolders.some((place) => existsSync(join(place, name))),
  );
  if (missing.length === 0) return [];
  const names = missing.map((name) => name.replace('-', ' ')).join(' and ');
  return [
    line(
      'note',
      `for \`${names}\`: mkdir -p ~/.docker/cli-plugins && ln -s ${folder}/docker-* ~/.docker/cli-plugins/`,
    ),
  ];
}
