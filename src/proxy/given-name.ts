/**
 * The client's own word for a container in the engine's error texts. The engine got the full id that was judged, and
 * puts it where it would have put what the client wrote. It must never touch an id that the engine itself chose to
 * show, nor anything but errors, nor change how the end of an answer is known.
 */
import { type AnswerHead, withContent, withLength } from './answer-head.js';
import { type AnswerReader, shortAnswer, type WholeAnswer } from './answer-reader.js';

/** A container's full id, and the name or short id that the client gave for it. */
export interface GivenName {
  readonly id: string;
  readonly given: string;
  /** The id belongs to nothing: wherever it shows, it stands for the client's word. */
  readonly invented?: boolean;
}

/**
 * Where moby (v20.10 to v29) repeats what it was given: daemon/{attach,archive,checkpoint,delete,exec,export,restart,
 * stop}.go and server/router/container. In all other places it shows the container's id or name of its own accord.
 */
const places: readonly (readonly [before: string, behind: string])[] = [
  ['^{"message":"[Cc]annot kill container: ', ''],
  ['^{"message":"cannot stop container: ', ''],
  ['^{"message":"Cannot restart container ', ''],
  ['^{"message":"Error exporting container ', ''],
  ['^{"message":"cannot remove container \\\\"', '\\\\"'],
  ['removal of container ', ' is already in progress'],
  // An attach that fails is answered in plain text.
  ['^(?:{"message":")?container ', ' is paused, unpause the container before attach'],
  ['^(?:{"message":")?container ', ' is restarting, wait until the container is running'],
  ['^{"message":"Container ', ' is paused, unpause the container before exec'],
  ['^{"message":"[Cc]annot checkpoint container ', ': '],
  ['^{"message":"Container ', ' not running'],
  ['^{"message":"checkpoint .* (?:does not exist|already exists) for container ', ''],
  ['^{"message":"Could not find the file .* in container ', '"'],
  ['No such container: ', ''],
];

/** Puts the client's word into an error body of the engine. */
export function withGivenName(body: Buffer, name: GivenName): Buffer {
  const text = body.toString('utf8');
  if (!text.includes(name.id)) return body;
  return Buffer.from(reworded(text, name));
}

function reworded(text: string, { id, given, invented }: GivenName): string {
  const word = text.startsWith('{') ? escaped(given) : given;
  if (invented === true) return text.replaceAll(id, () => word);
  return places.reduce(
    (result, [before, behind]) =>
      result.replace(new RegExp(`(${before})${id}(?=${behind})`), (_all, kept) => `${kept}${word}`),
    text,
  );
}

/** As Go's encoding/json writes it in a string (encoding/json, appendString with escapeHTML). */
function escaped(text: string): string {
  const quoted = JSON.stringify(text).slice(1, -1);
  return quoted.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Reads the engine's errors for the client's word. */
export function clientsWord(name: GivenName): AnswerReader {
  return {
    limit: (status) => (status >= 400 ? shortAnswer : 0),
    read: (answer) => withClientsWord(answer, name),
  };
}

/** An error as the client gets it: its head, and its body with the framing that it had. */
export function withClientsWord(
  { head, content }: WholeAnswer,
  name: GivenName,
): [head: AnswerHead, body: Buffer] {
  if (head.framing.kind === 'none') return [withoutBody(head, name), content];
  return withContent(head, withGivenName(content, name));
}

/**
 * An error that answers a HEAD has no body to look at, but tells its length. The only such endpoint that names a
 * container is the one about its files, and its 404 repeats the name once (moby daemon/errors.go).
 */
function withoutBody(head: AnswerHead, { id, given }: GivenName): AnswerHead {
  const told = Number(head.fields.find(({ key }) => key === 'content-length')?.value);
  if (head.status !== 404 || !(told > id.length)) return head;
  return withLength(head, told - id.length + Buffer.byteLength(escaped(given)));
}
