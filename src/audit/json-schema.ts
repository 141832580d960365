/**
 * The JSON Schema of an audit line, for programs that read the log: config/audit-record.schema.json.
 */
import { z } from 'zod';
import { auditLineSchema } from './record.js';

/** The schema as an object that is ready to be written as JSON. */
export function auditJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(auditLineSchema, {
    io: 'output',
    override: ({ jsonSchema }) => {
      delete jsonSchema.readOnly;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return { $schema, title: 'cofferdam audit record', ...rest };
}
