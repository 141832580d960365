/**
 * docs/settings.md's tables: every key with type, default and meaning, out of the schema.
 */
import { z } from 'zod';
import { dockerDesktopKeys } from './docker-desktop-keys.js';
import { settingsJsonSchema } from './json-schema.js';

const nodeSchema = z.looseObject({
  type: z.string().optional(),
  description: z.string().default(''),
  default: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  anyOf: z.array(z.unknown()).optional(),
  items: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
});
type SchemaNode = z.infer<typeof nodeSchema>;

interface Row {
  readonly key: string;
  readonly type: string;
  readonly value: string;
  readonly meaning: string;
}

function typeName(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((value) => `\`"${value}"\``).join(', ');
  if (node.anyOf !== undefined) {
    return node.anyOf.map((choice) => typeName(nodeSchema.parse(choice))).join(' or ');
  }
  if (node.type === 'array') {
    const items = nodeSchema.parse(node.items ?? {});
    return items.type === 'object' ? 'list of objects' : `list of: ${typeName(items)}`;
  }
  return `${node.type ?? 'any'}${bounds(node)}`;
}

/** What a number may be, where the schema says so. */
function bounds({ minimum, maximum }: SchemaNode): string {
  if (minimum === undefined) return '';
  return maximum === undefined ? ` from ${minimum}` : `, ${minimum} to ${maximum}`;
}

/** A row for each key below a node that holds a value; sections only give their description. */
function rows(node: SchemaNode, prefix: string): Row[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, raw]) => {
    const child = nodeSchema.parse(raw);
    const key = prefix === '' ? name : `${prefix}.${name}`;
    if (child.properties !== undefined) return rows(child, key);
    const row: Row = {
      key,
      type: typeName(child),
      value: child.default === undefined ? '' : `\`${JSON.stringify(child.default)}\``,
      meaning: child.description,
    };
    const items = child.type === 'array' ? nodeSchema.parse(child.items ?? {}) : undefined;
    return items?.properties === undefined ? [row] : [row, ...rows(items, `${key}[]`)];
  });
}

function table(entries: readonly Row[]): string {
  const lines = entries.map(
    ({ key, type, value, meaning }) =>
      `| \`${key}\` | ${type} | ${value} | ${meaning.replaceAll('|', '\\|')} |`,
  );
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...lines].join('\n');
}

/** The generated part of docs/settings.md: a section with its table for each top-level key. */
export function settingsReference(): string {
  const root = nodeSchema.parse(settingsJsonSchema());
  const sections = Object.entries(root.properties ?? {})
    .filter(([name]) => name !== '$schema')
    .map(([name, raw]) => {
      const node = nodeSchema.parse(raw);
      const single = nodeSchema.parse({ type: 'object', properties: { [name]: raw } });
      return `## ${name}\n\n${node.description}\n\n${table(rows(single, ''))}`;
    });
  const ignored = dockerDesktopKeys.map((key) => `\`${key}\``).join(', ');
  return [
    ...sections,
    `## Keys of Docker Desktop without a meaning here\n\nAccepted, listed by \`cofferdam check\`, and ignored: ${ignored}.`,
  ].join('\n\n');
}
