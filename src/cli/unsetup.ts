/**
 * `cofferdam unsetup`: takes back what setup did.
 */
import { runtimeName } from '../engine/daemon-json.js';
import { embeddedEnginePid } from '../engine/embedded/engine.js';
import { stopDaemon } from '../engine/embedded/run.js';
import { findEngine } from '../engine/find.js';
import { undoRegistration } from '../engine/registration.js';
import { launcherPaths } from '../runtime/launcher.js';
import { parseOptions } from './options.js';
import { print } from './output.js';

/** Takes the runtime out of the engine's configuration; stops the embedded engine where that one is used. */
export async function unsetup(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('unsetup', argv, environment);
  const embedded = embeddedEnginePid(options.state, options.runDir);
  if (embedded !== undefined) {
    await stopDaemon(embedded);
    print('stopped the embedded engine, and its containers with it');
  }
  const engine = await findEngine(options, environment);
  const undone = await undoRegistration({
    socket: engine?.socket,
    stateDir: options.state,
    launcher: launcherPaths(options.state).launcher,
    daemonJson: options.values.get('daemon-json'),
  });
  if (undone.changes.length === 0) print(`${undone.daemonJson} has nothing of cofferdam`);
  else
    for (const line of [`${undone.daemonJson}:`, ...undone.changes.map((change) => `  ${change}`)])
      print(line);
  if (undone.dropIn) print(`removed ${undone.dropIn}`);
  if (undone.defaultRuntime === runtimeName) {
    print(`the engine keeps ${runtimeName} as its default runtime until dockerd is restarted`);
  }
  if (undone.changes.length > 0)
    print('containers that were made isolated start again after `cofferdam setup` only');
  return 0;
}
