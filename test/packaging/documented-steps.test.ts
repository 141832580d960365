import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { DocumentedSteps, outputLike } from './documented-steps.js';

const folder = mkdtempSync('/var/tmp/cofferdam-steps-');
afterAll(() => rmSync(folder, { recursive: true }));

function steps(text: string): DocumentedSteps {
  const path = join(folder, 'page.md');
  writeFileSync(path, text);
  return new DocumentedSteps(pathToFileURL(path));
}

const page = `# A page

## 1. First

\`\`\`console
# cofferdam one
shown
$ cofferdam two
\`\`\`

### Second

\`\`\`json
{}
\`\`\`

| question | command |
|---|---|
| \`cofferdam never\` | \`cofferdam three\` (\`--json\`), \`cofferdam four\` |
`;

it('finds what is typed and written, section by section', () => {
  const found = steps(page);
  expect(found.command('1. First', 'cofferdam one')).toMatchObject({ prompt: '#', shown: ['shown'] });
  expect(found.command('1. First', 'cofferdam')).toMatchObject({ prompt: '$', command: 'cofferdam two' });
  expect(found.file('Second', 'json')).toBe('{}');
  expect(found.left).toMatchObject([{ command: 'cofferdam three' }, { command: 'cofferdam four' }]);
});

it.each([
  ['another command', 'cofferdam two'],
  ['a command that is gone', 'cofferdam zero'],
])('does not take %s for the next one', (_, beginning) => {
  expect(() => steps(page).command('1. First', beginning)).toThrow('is expected next');
});

it.each([
  ['as it is shown', 'ok  in 12 seconds\nmore\nand more\nend of a1b2\n', true],
  ['nothing where something is left out', 'ok in 1 seconds\nend of \n', true],
  ['another line', 'ok  in 12 seconds\nmore\nends of a1b2\n', false],
  ['a line more at the end', 'ok  in 12 seconds\nend of a1b2\nmore\n', false],
  ['a line more before', 'more\nok  in 12 seconds\nend of a1b2\n', false],
  ['words in the place of a number', 'ok  in some seconds\nend of a1b2\n', false],
])('compares output: %s', (_, output, like) => {
  expect(outputLike(['ok      in 3 seconds', '…', 'end of …']).test(output)).toBe(like);
});
