/**
 * Says in a build's own error which registry a denial is about and which setting decides: BuildKit only names the
 * source. Works on the gRPC status of an answer, in both of its forms: `grpc-message`, and the google.rpc.Status in
 * `grpc-status-details-bin`, which buildx shows. What it can't read stays as it came.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Settings } from '../../settings/schema.js';
import { judgeRegistry, judgeUrl, type RegistryRefusal } from '../policy.js';
import { parseReference } from '../reference.js';

/** As moby's BuildKit puts it (buildkit, sourcepolicy/engine.go), unless it is explained already. */
const denial =
  /source "([^"\s]{1,2048})" denied by policy(?:: source denied by policy)?(?!: (?:registry|image) access)/g;

/** The text with each denial explained. @param found gets the denials that were */
export function explainDenials(text: string, settings: Settings, found: RegistryRefusal[] = []): string {
  return text.replace(denial, (whole, source: string) => {
    const refusal = refusalOf(source, settings);
    if (refusal === undefined) return whole;
    found.push(refusal);
    return `source "${source}" denied by policy: ${refusal.text} (setting ${refusal.setting})`;
  });
}

function refusalOf(source: string, settings: Settings): RegistryRefusal | undefined {
  const image = /^docker-image:\/\/(.*)$/s.exec(source)?.[1];
  if (image === undefined) return judgeUrl(source, settings);
  try {
    return judgeRegistry(parseReference(image), 'pull', settings);
  } catch {
    return undefined;
  }
}

/** An answer's header fields with its status explained, and the denials that were in it. */
export interface ExplainedStatus {
  readonly rawHeaders: readonly string[];
  readonly found: readonly RegistryRefusal[];
}

/**
 * Explains the status in the header fields of an answer.
 * @param rawHeaders names and values in turns
 */
export function explainStatus(rawHeaders: readonly string[], settings: Settings): ExplainedStatus {
  const explained = [...rawHeaders];
  const found: RegistryRefusal[] = [];
  for (let index = 0; index + 1 < explained.length; index += 2) {
    const value = explained[index + 1] ?? '';
    if (explained[index] === 'grpc-message') explained[index + 1] = explainMessage(value, settings, found);
    if (explained[index] === 'grpc-status-details-bin')
      explained[index + 1] = explainDetails(value, settings, found);
  }
  return { rawHeaders: explained, found };
}

function explainMessage(value: string, settings: Settings, found: RegistryRefusal[]): string {
  let text: string;
  try {
    text = decodeURIComponent(value);
  } catch {
    return value;
  }
  const explained = explainDenials(text, settings, found);
  return explained === text ? value : encodeURIComponent(explained);
}

/** google.rpc.Status: the message in field 2; everything else goes on byte for byte. */
function explainDetails(value: string, settings: Settings, found: RegistryRefusal[]): string {
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== value.replace(/=+$/, '')) return value;
  const parts: Uint8Array[] = [];
  let changed = false;
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const start = reader.pos;
      const [number, wireType] = reader.tag();
      if (number === 2 && wireType === WireType.LengthDelimited) {
        const text = Buffer.from(reader.bytes()).toString('utf8');
        const explained = explainDenials(text, settings, found);
        changed ||= explained !== text;
        parts.push(new BinaryWriter().tag(2, wireType).string(explained).finish());
      } else {
        reader.skip(wireType);
        parts.push(bytes.subarray(start, reader.pos));
      }
    }
  } catch {
    return value;
  }
  return changed ? Buffer.concat(parts).toString('base64').replace(/=+$/, '') : value;
}
