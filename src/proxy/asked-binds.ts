/**
 * Shows a container's binds as its client wrote them. They went to the engine as mounts (rules/pinned-binds.ts), and
 * tools compare what they ask for with what is there: Ansible would make a container anew at each run. Only for
 * containers that were made so, whatever can't be read stays as the engine wrote it, and nothing else is touched.
 */
import { posix } from 'node:path';
import { type JsonObject, type JsonValue, parseGoJson, stringifyJson } from '../engine/json.js';
import { isObject, listAt, textAt } from '../rules/json-pointer.js';
import type { AskedBinds } from '../uid-allocator/record.js';
import { withContent } from './answer-head.js';
import type { AnswerReader } from './answer-reader.js';

/** The engine's answers about a container begin with its id (moby api/types/container, ContainerJSONBase). */
const beginning = /^\{"Id":"([0-9a-f]{64})"/;

/** Longest answer about a container that is read, in bytes. */
const inspectLimit = 1 << 20;

/** Reads the engine's answers to GET /containers/X/json. @param asked what the ledger knows of the container */
export function askedBindsReader(asked: (containerId: string) => AskedBinds | undefined): AnswerReader {
  return {
    limit: (status) => (status === 200 ? inspectLimit : 0),
    read: ({ head, content }) => {
      const shown = withAskedBinds(content, asked);
      return shown && withContent(head, shown);
    },
  };
}

/**
 * @param content the engine's answer to GET /containers/X/json
 * @param asked what the ledger knows of the container
 * @returns undefined when the answer stays as it is
 */
export function withAskedBinds(
  content: Buffer,
  asked: (containerId: string) => AskedBinds | undefined,
): Buffer | undefined {
  const id = beginning.exec(content.toString('latin1', 0, 80))?.[1];
  const wanted = id === undefined ? undefined : asked(id);
  if (wanted === undefined) return undefined;
  const answer = parsed(content);
  if (!isObject(answer) || !isObject(answer['HostConfig'])) return undefined;
  return Buffer.from(`${stringifyJson(shown(answer, answer['HostConfig'], wanted))}\n`);
}

function parsed(content: Buffer): JsonValue | undefined {
  try {
    return parseGoJson(content);
  } catch {
    return undefined;
  }
}

function shown(answer: JsonObject, hostConfig: JsonObject, { binds, mounts }: AskedBinds): JsonObject {
  const own = listAt(hostConfig, '/Mounts').slice(0, mounts);
  const listed = binds.length === 0 ? hostConfig : inPlace(hostConfig, 'Binds', [...binds]);
  const modes = modesOf(binds);
  const points = listAt(answer, '/Mounts').map((point) => withMode(point, modes));
  const asked = inPlace(listed, 'Mounts', own.length === 0 ? undefined : own);
  return inPlace(inPlace(answer, 'HostConfig', asked), 'Mounts', points);
}

/** Gives a member another value where it is, or takes it away; one that isn't there is not made. */
function inPlace(object: JsonObject, key: string, value: JsonValue | undefined): JsonObject {
  const members = Object.entries(object).flatMap(([name, old]): [string, JsonValue][] => {
    if (name !== key) return [[name, old]];
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(members);
}

/** The third part of each bind, by its destination. */
function modesOf(binds: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    binds.map((text) => {
      const [, destination = '', mode = ''] = text.split(':');
      return [posix.resolve('/', destination), mode];
    }),
  );
}

function withMode(point: JsonValue, modes: ReadonlyMap<string, string>): JsonValue {
  const mode = modes.get(textAt(point, '/Destination'));
  if (!isObject(point) || point['Type'] !== 'bind' || mode === undefined) return point;
  return { ...point, Mode: mode };
}
