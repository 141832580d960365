/**
 * The client's own word for a container in the engine's error texts. The engine got the full id that was judged, and
 * puts it where it would have put what the client wrote. It must never touch an id that the engine itself chose to
 * show, nor anything but errors.
 */
import type { AnswerHead } from './answer-head.js';

/** A container's full id, and the name or short id that the client gave for it. */
export interface GivenName {
  readonly id: string;
  readonly given: string;
}

/**
 * Where moby (v20.10 to v29) repeats what it was given: daemon/{attach,archive,delete,export,restart,stop}.go and
 * server/router/container. In all other places it shows the container's id or name of its own accord.
 */
const places: readonly (readonly [before: string, behind: string])[] = [
  ['^{"message":"[Cc]annot kill container: ', ''],
  ['^{"message":"cannot stop container: ', ''],
  ['^{"message":"Cannot restart container ', ''],
  ['^{"message":"Error exporting container ', ''],
  ['^{"message":"cannot remove container \\\\"', '\\\\"'],
  ['removal of container ', ' is already in progress'],
  ['^{"message":"container ', ' is paused, unpause the container before attach'],
  ['^{"message":"container ', ' is restarting, wait until the container is running'],
  ['^{"message":"Could not find the file .* in container ', '"'],
  ['No such container: ', ''],
];

/** Puts the client's word into an error body of the engine. */
export function withGivenName(body: Buffer, { id, given }: GivenName): Buffer {
  const text = body.toString('utf8');
  if (!text.includes(id)) return body;
  // A reference that leads to a container has no character that JSON escapes.
  const reworded = places.reduce(
    (result, [before, behind]) => result.replace(new RegExp(`(${before})${id}(?=${behind})`), `$1${given}`),
    text,
  );
  return Buffer.from(reworded);
}

/** The head of an answer whose body was replaced by one of another length. */
export function withLength(head: AnswerHead, length: number): AnswerHead {
  const others = head.fields.filter(({ key }) => key !== 'content-length' && key !== 'transfer-encoding');
  const at = head.fields.findIndex(({ key }) => key === 'content-length');
  const field = { name: 'Content-Length', key: 'content-length', value: String(length) };
  return {
    ...head,
    fields: others.toSpliced(at === -1 ? others.length : at, 0, field),
    framing: { kind: 'length', length },
  };
}
