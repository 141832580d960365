// Writes what is generated from the sources: `npm run generate`, after `npm run build`. Tests compare the results.
import { readFileSync, writeFileSync } from 'node:fs';
import { auditJsonSchema } from '../dist/audit/json-schema.js';
import { settingsJsonSchema } from '../dist/settings/json-schema.js';
import { settingsReference } from '../dist/settings/reference.js';

const root = new URL('../', import.meta.url);

function write(path, text) {
  writeFileSync(new URL(path, root), text);
}

/** Replaces what stands between the two markers of a page that is otherwise written by hand. */
function fill(path, text) {
  const page = readFileSync(new URL(path, root), 'utf8');
  const [begin, end] = ['<!-- generated: npm run generate -->', '<!-- end of the generated part -->'];
  const from = page.indexOf(begin) + begin.length;
  write(path, `${page.slice(0, from)}\n\n${text}\n\n${page.slice(page.indexOf(end))}`);
}

write('config/admin-settings.schema.json', `${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
write('config/audit-record.schema.json', `${JSON.stringify(auditJsonSchema(), null, 2)}\n`);
fill('docs/settings.md', settingsReference());
