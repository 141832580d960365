/**
 * From the bytes of a settings file to settings, or to a list of everything that is wrong with them.
 * Never guesses: what can be read in two ways (a key twice, a second encoding) is an error. Keys are matched as
 * Docker Desktop matches them, without regard to case. Unknown keys warn and never fail.
 */
import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { z } from 'zod';
import { dockerDesktopKeys } from './docker-desktop-keys.js';
import { type SettingsIssue, SettingsProblem } from './problem.js';
import { type Settings, settingsSchema } from './schema.js';
import { nearest } from './suggest.js';

/** Far above any sensible policy; keeps a mistaken path (a disk image) out of memory. */
export const maximumBytes = 8 * 1024 * 1024;

/** Newest version of Docker's format whose keys are known here. */
const newestFileVersion = 2;

/** A value of the file, as far as it is used: settings, what to tell the reader, and what was written. */
export interface ParsedSettings {
  readonly settings: Settings;
  /** The file's own keys and values, without defaults: what merging with other sources needs. */
  readonly written: Readonly<Record<string, unknown>>;
  readonly warnings: readonly SettingsIssue[];
  /** Docker Desktop's keys in the file that have no meaning here. */
  readonly ignored: readonly string[];
}

type Path = readonly (string | number)[];

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>> | undefined;
  readonly items?: Shape | undefined;
}

const shapeSchema: z.ZodType<Shape> = z.lazy(() =>
  z.object({
    properties: z.record(z.string(), shapeSchema).optional(),
    items: shapeSchema.optional(),
  }),
);

let knownShape: Shape | undefined;

/** The keys that the schema knows, level by level. */
function shape(): Shape {
  knownShape ??= shapeSchema.parse(z.toJSONSchema(settingsSchema, { io: 'input' }));
  return knownShape;
}

/** `a.b[0].c` for messages. */
export function keyName(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}

/** 1-based line and column of an offset. */
function position(source: string, offset: number): { line: number; column: number } {
  const before = source.slice(0, offset);
  return { line: before.split('\n').length, column: offset - (before.lastIndexOf('\n') + 1) + 1 };
}

/** Bytes to text: UTF-8, with or without a byte order mark. */
function decode(path: string, bytes: Buffer): string {
  if (bytes.length > maximumBytes) {
    throw new SettingsProblem(path, [{ message: `is larger than ${maximumBytes / 1024 / 1024} MiB` }]);
  }
  if (
    bytes.subarray(0, 2).equals(Buffer.from([0xff, 0xfe])) ||
    bytes.subarray(0, 2).equals(Buffer.from([0xfe, 0xff]))
  ) {
    throw new SettingsProblem(path, [{ message: 'is encoded in UTF-16', suggestion: 'save it as UTF-8' }]);
  }
  try {
    // TextDecoder removes a leading byte order mark, which editors on Windows write.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new SettingsProblem(path, [{ message: 'is not valid UTF-8', suggestion: 'save it as UTF-8' }]);
  }
}

const syntaxTexts: Readonly<Record<string, readonly [string, string?]>> = {
  InvalidSymbol: ['unexpected word', 'texts need double quotes; allowed words are true, false and null'],
  InvalidNumberFormat: ['invalid number'],
  PropertyNameExpected: ['a key in double quotes is expected', 'remove a comma before `}`'],
  ValueExpected: ['a value is expected', 'remove a comma before `]`, or write the missing value'],
  ColonExpected: ['a colon is expected after the key'],
  CommaExpected: ['a comma is expected'],
  CloseBraceExpected: ['a `}` is missing'],
  CloseBracketExpected: ['a `]` is missing'],
  EndOfFileExpected: ['something follows the end of the settings', 'remove everything after the last `}`'],
  InvalidCommentToken: ['comments are not allowed in JSON', 'remove the comment'],
  UnexpectedEndOfComment: ['a comment that does not end', 'remove the comment'],
  UnexpectedEndOfString: ['a text that does not end', 'add the closing double quote'],
  UnexpectedEndOfNumber: ['a number that does not end'],
  InvalidUnicode: ['invalid \\u escape', 'write four hexadecimal digits'],
  InvalidEscapeCharacter: ['invalid escape', 'write a backslash as \\\\'],
  InvalidCharacter: ['invalid character', 'write control characters as \\n, \\t or \\uXXXX'],
};

function syntaxIssue(source: string, error: ParseError): SettingsIssue {
  const [message, suggestion] = syntaxTexts[printParseErrorCode(error.error)] ?? ['invalid JSON'];
  return { ...position(source, error.offset), message, ...(suggestion === undefined ? {} : { suggestion }) };
}

/** Collects what reading the tree finds: values under their canonical keys, and everything worth telling. */
class TreeReader {
  readonly issues: SettingsIssue[] = [];
  readonly warnings: SettingsIssue[] = [];
  readonly ignored: string[] = [];
  /** Where each value stands, by key name. */
  readonly offsets = new Map<string, number>();

  constructor(private readonly source: string) {}

  read(node: Node, known: Shape | undefined, path: Path): unknown {
    this.offsets.set(keyName(path), node.offset);
    if (node.type === 'array') {
      return (node.children ?? []).map((child, index) => this.read(child, known?.items, [...path, index]));
    }
    if (node.type !== 'object') return node.value;
    // Without a prototype, so that a key named __proto__ is a key like any other.
    const result: Record<string, unknown> = Object.create(null);
    for (const property of node.children ?? []) this.readProperty(property, known, path, result);
    return result;
  }

  private readProperty(
    property: Node,
    known: Shape | undefined,
    path: Path,
    into: Record<string, unknown>,
  ): void {
    const [keyNode, valueNode] = property.children ?? [];
    if (keyNode === undefined || valueNode === undefined) return;
    const written = String(keyNode.value);
    const name = this.canonical(written, known, path, keyNode.offset);
    if (name === undefined) return;
    if (Object.hasOwn(into, name)) {
      this.issues.push({
        ...position(this.source, keyNode.offset),
        key: keyName([...path, name]),
        message: 'is written twice',
        suggestion: 'remove one of them',
      });
      return;
    }
    into[name] = this.read(valueNode, known?.properties?.[name], [...path, name]);
  }

  /** The schema's spelling of a key; `undefined` for one without a meaning here. */
  private canonical(
    written: string,
    known: Shape | undefined,
    path: Path,
    offset: number,
  ): string | undefined {
    const names = Object.keys(known?.properties ?? {});
    const folded = written.toLowerCase();
    const match =
      names.find((name) => name === written) ?? names.find((name) => name.toLowerCase() === folded);
    if (match !== undefined || written === '$schema') return match;
    if (known?.properties === undefined) return written;
    const desktop =
      path.length === 0 ? dockerDesktopKeys.find((key) => key.toLowerCase() === folded) : undefined;
    if (desktop !== undefined) {
      this.ignored.push(desktop);
      return undefined;
    }
    const near = nearest(written, names);
    this.warnings.push({
      ...position(this.source, offset),
      key: keyName([...path, written]),
      message: 'unknown key, ignored',
      ...(near === undefined ? {} : { suggestion: `did you mean ${keyName([...path, near])}?` }),
    });
    return undefined;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  boolean: 'true or false',
  string: 'a text in double quotes',
  number: 'a number',
  int: 'a whole number',
  array: 'a list in [ ]',
  object: 'an object in { }',
};

/** Our words for what zod found. */
function schemaIssue(source: string, reader: TreeReader, issue: z.core.$ZodIssue): SettingsIssue {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  const key = keyName(path);
  // A missing key has no place of its own: its object's is shown.
  const offset = reader.offsets.get(key) ?? reader.offsets.get(keyName(path.slice(0, -1))) ?? 0;
  const base = { ...position(source, offset), ...(key === '' ? {} : { key }) };
  switch (issue.code) {
    case 'invalid_type': {
      const wanted = typeNames[issue.expected] ?? issue.expected;
      if (!reader.offsets.has(key)) return { ...base, message: 'is missing', suggestion: `write ${wanted}` };
      return { ...base, message: `must be ${wanted}`, ...quotedSuggestion(issue.expected, source, offset) };
    }
    case 'invalid_value': {
      const values = issue.values.map((value) => `"${String(value)}"`);
      const near = nearest(valueAt(source, offset), issue.values.map(String));
      return {
        ...base,
        message: `must be one of ${values.join(', ')}`,
        ...(near === undefined ? {} : { suggestion: `did you mean "${near}"?` }),
      };
    }
    default:
      return { ...base, message: issue.message };
  }
}

/** The first line of the value that stands at an offset, without quotes. */
function valueAt(source: string, offset: number): string {
  return /^"?([^"\n,}\]]*)/.exec(source.slice(offset, offset + 200))?.[1]?.trim() ?? '';
}

function quotedSuggestion(expected: string, source: string, offset: number): { suggestion?: string } {
  const value = valueAt(source, offset);
  if (expected === 'boolean' && /^(true|false)$/i.test(value)) {
    return { suggestion: `write ${value.toLowerCase()} without quotes` };
  }
  if (expected === 'string') return { suggestion: `write "${value}"` };
  if (expected === 'array' && value !== '') return { suggestion: `write ["${value}"]` };
  return {};
}

/**
 * Reads settings from the bytes of a file. `path` only names it in messages.
 * Throws a SettingsProblem with every issue when they can't be used.
 */
export function parseSettings(path: string, bytes: Buffer): ParsedSettings {
  const source = decode(path, bytes);
  if (source.trim() === '') {
    throw new SettingsProblem(path, [{ message: 'is empty', suggestion: 'write {} to use every default' }]);
  }
  const errors: ParseError[] = [];
  const root = parseTree(source, errors, { disallowComments: true, allowTrailingComma: false });
  if (errors.length > 0 || root === undefined) {
    throw new SettingsProblem(
      path,
      errors.map((error) => syntaxIssue(source, error)),
    );
  }
  const reader = new TreeReader(source);
  const written = z.record(z.string(), z.unknown()).safeParse(reader.read(root, shape(), []));
  if (!written.success) {
    throw new SettingsProblem(path, [{ line: 1, column: 1, message: 'must be an object in { }' }]);
  }
  const parsed = settingsSchema.safeParse(written.data);
  const schemaIssues = parsed.success
    ? []
    : parsed.error.issues.map((issue) => schemaIssue(source, reader, issue));
  const issues = [...reader.issues, ...schemaIssues];
  if (!parsed.success || issues.length > 0) throw new SettingsProblem(path, issues);
  return {
    settings: parsed.data,
    written: written.data,
    warnings: [...reader.warnings, ...versionWarnings(parsed.data)],
    ignored: reader.ignored,
  };
}

function versionWarnings(settings: Settings): SettingsIssue[] {
  const version = settings.configurationFileVersion;
  if (version <= newestFileVersion) return [];
  return [
    {
      key: 'configurationFileVersion',
      message: `${version} is newer than the format known here`,
      suggestion: `keys that came after version ${newestFileVersion} are ignored`,
    },
  ];
}
