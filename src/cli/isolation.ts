/**
 * `cofferdam isolation [on|off|default]`: what holds, and switching it where it isn't locked.
 */
import { askDaemon, askStatus, messageOf } from '../control/client.js';
import { parseOptions, UsageError } from './options.js';
import { colour, complain, print, printJson } from './output.js';

const choices: Readonly<Record<string, boolean | null>> = { on: true, off: false, default: null };

async function showState(runDir: string, json: boolean): Promise<number> {
  const { settings } = await askStatus(runDir);
  if (json) {
    printJson(settings.isolation);
    return 0;
  }
  const { value, lockedIn, chosenBy } = settings.isolation;
  const state = value ? colour('green', 'on') : colour('red', 'off');
  const chosen = chosenBy === undefined ? '' : `, switched by uid ${chosenBy}`;
  print(`isolation is ${state}${chosen}; ${lockedIn === undefined ? 'not locked' : `locked in ${lockedIn}`}`);
  return 0;
}

/** Shows or switches isolation; 1 when a lock refuses it. */
export async function isolation(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('isolation', argv, environment);
  const [word, ...more] = options.operands;
  if (more.length > 0) throw new UsageError('one of on, off, default', 'isolation');
  if (word === undefined) return showState(options.runDir, options.json);
  const value = choices[word];
  if (value === undefined)
    throw new UsageError(`on, off or default, not ${JSON.stringify(word)}`, 'isolation');
  const { status, text } = await askDaemon(options.runDir, 'POST', '/isolation', { value });
  const message = messageOf(text);
  if (options.json) printJson({ switched: status === 200, message });
  else if (status === 200) print(message);
  else complain(message);
  return status === 200 ? 0 : 1;
}
