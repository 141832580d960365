/**
 * The JSON Schema of the settings file, for editors and for other tools: generated from schema.ts, and shipped
 * as config/admin-settings.schema.json. It is stricter than the daemon: editors should show unknown keys.
 */
import { z } from 'zod';
import { settingsSchema } from './schema.js';

/** The schema as an object that is ready to be written as JSON. */
export function settingsJsonSchema(): Record<string, unknown> {
  const generated = z.toJSONSchema(settingsSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // zod says so for frozen objects; to an editor it would mean that a key can't be written.
      delete jsonSchema.readOnly;
      if (jsonSchema.type === 'object' && jsonSchema.additionalProperties === undefined) {
        jsonSchema.additionalProperties = false;
      }
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  const { $schema, properties, ...rest } = generated;
  return {
    $schema,
    title: 'cofferdam admin-settings.json',
    ...rest,
    properties: { $schema: { type: 'string', description: 'The address of this schema.' }, ...properties },
    // Docker Desktop's own keys may stand beside ours.
    additionalProperties: true,
  };
}
