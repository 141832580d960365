/**
 * `cofferdam learn` and `cofferdam replay`: settings out of an audit log, and an audit log against settings.
 */
import { statSync } from 'node:fs';
import { auditFiles } from '../audit/files.js';
import { auditFolder } from '../audit/sink.js';
import { readAuditLine, readLines } from '../audit/verify.js';
import { type ObservedRequest, Observer } from '../learning/observations.js';
import { Proposal } from '../learning/proposal.js';
import { type ChangedVerdict, replay as judgeAgain } from '../learning/replay.js';
import { loadSettings } from '../settings/load.js';
import { auditText } from './audit.js';
import { parseOptions, UsageError } from './options.js';
import { colour, complain, print, printJson } from './output.js';

/** The files of a log: one that was named, a folder of them, or this host's own. */
function logFiles(path: string | undefined, state: string): string[] {
  if (path === undefined) return auditFiles(auditFolder(state));
  return statSync(path).isDirectory() ? auditFiles(path) : [path];
}

async function* observed(files: readonly string[]): AsyncGenerator<ObservedRequest> {
  const observer = new Observer();
  for (const file of files) {
    for await (const text of readLines(file)) {
      const line = readAuditLine(text);
      const request = line === undefined ? undefined : observer.observe(line);
      if (request !== undefined) yield request;
    }
  }
}

/** Prints the settings that an audit log asks for; 1 when it has no requests. */
export async function learn(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('learn', argv, environment);
  if (options.operands.length > 1) throw new UsageError('one LOG at most', 'learn');
  const proposal = new Proposal();
  let count = 0;
  for await (const request of observed(logFiles(options.operands[0], options.state))) {
    proposal.add(request);
    count += 1;
  }
  if (count === 0) {
    complain('the log has no requests to learn from');
    return 1;
  }
  printJson(proposal.settings());
  complain(
    `a proposal out of ${count} requests: read it before you use it, then try it with \`cofferdam replay\``,
  );
  return 0;
}

function changeText({ request, now, reason }: ChangedVerdict): string {
  const mark = now === 'refused' ? colour('red', 'would be refused') : colour('green', 'would be allowed');
  return `${mark}  ${auditText(request.line)}${reason === undefined ? '' : `\n    ${reason}`}`;
}

/** Prints the requests whose verdict other settings would change; 1 when there are some. */
export async function replay(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('replay', argv, environment);
  if (options.settings === undefined || options.operands.length > 1) {
    throw new UsageError('name the new settings with --settings FILE, and one LOG at most', 'replay');
  }
  const settings = loadSettings(options.settings);
  const changes: ChangedVerdict[] = [];
  let count = 0;
  for await (const request of observed(logFiles(options.operands[0], options.state))) {
    count += 1;
    const change = judgeAgain(request, settings);
    if (change !== undefined) changes.push(change);
  }
  if (options.json) {
    printJson({
      requests: count,
      changes: changes.map(({ request, now, reason }) => ({ now, reason, record: request.line })),
    });
  } else {
    for (const change of changes) print(changeText(change));
    print(`${changes.length} of ${count} requests would get another verdict`);
  }
  return changes.length === 0 ? 0 : 1;
}
