/**
 * Who reaches the engine past cofferdam, as findings for people.
 */
import { connectedProcesses, enginePorts, everyContainer, openTo, socketHolders } from '../engine/bypass.js';
import type { EngineClient } from '../engine/client.js';
import { type Check, guarded, ok, warning } from './check.js';

const unknownProcess = 'the process of the engine was not found, so they are unknown';

function accounts(socket: string): Check {
  const who = openTo(socket);
  return who === undefined
    ? ok("the engine's own socket", `${socket} is for root alone`)
    : warning(
        "the engine's own socket",
        `${who} can use ${socket} past cofferdam, and so is root on this host`,
        'run `cofferdam install`, or give the socket to root alone',
      );
}

function processes(socket: string, own: readonly number[]): Check {
  const name = "processes at the engine's socket";
  const found = connectedProcesses(socket, own);
  if (found === undefined) return warning(name, unknownProcess, 'look with `ss -xp`');
  return found.length === 0
    ? ok(name, 'none')
    : warning(
        name,
        `${found.map(({ pid, command, uid }) => `${command} (process ${pid}, uid ${uid})`).join(', ')}: connected past cofferdam`,
        'let them connect anew, through the socket of cofferdam',
      );
}

function ports(socket: string): Check {
  const name = 'TCP ports of the engine';
  const found = enginePorts(socket);
  if (found === undefined) return warning(name, unknownProcess, 'look at its -H flags');
  return found.length === 0
    ? ok(name, 'none')
    : warning(
        name,
        `dockerd listens on ${found.map((port) => `port ${port}`).join(', ')}: what comes there is not judged`,
        'remove its tcp:// addresses, or firewall them',
      );
}

async function containers(client: EngineClient): Promise<Check> {
  const name = "containers with the engine's socket";
  const found = socketHolders(client.socketPath, await everyContainer(client));
  return found.length === 0
    ? ok(name, 'none')
    : warning(
        name,
        `${found.map((holder) => `${holder.name}${holder.running ? '' : ' (stopped)'}`).join(', ')}: they reach the engine past cofferdam`,
        'make them anew through cofferdam, with their images on the list of dockerSocketMount',
      );
}

/** Everything about who else reaches the engine. `daemon` is the process of cofferdam itself, where it runs. */
export function examineReach(client: EngineClient, daemon: number | undefined): Promise<Check[]> {
  const { socketPath } = client;
  const own = [process.pid, ...(daemon === undefined ? [] : [daemon])];
  return Promise.all([
    guarded("the engine's own socket", 'look at its mode', () => accounts(socketPath)),
    guarded("processes at the engine's socket", 'look with `ss -xp`', () => processes(socketPath, own)),
    guarded('TCP ports of the engine', 'look at the -H flags of dockerd', () => ports(socketPath)),
    guarded("containers with the engine's socket", 'start the engine', () => containers(client)),
  ]);
}
