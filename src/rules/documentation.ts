/**
 * Writes docs/rules.md from the rules themselves, so that the page can't tell something else than the code does.
 */
import { rules } from './index.js';
import type { Rule } from './rule.js';

const introduction = `# Rules

<!-- Generated from src/rules by \`npm run docs:rules\`. Change the rules, not this page. -->

Every API request is judged by the rules that name its route. A rule allows, refuses, rewrites or warns; all refusals of
a request are reported at once, each with its place in the request, the reason, the setting that decides and what to do
instead. \`cofferdam explain\` shows the verdict rule by rule. *Rests* says whether the rule rests while
\`enhancedContainerIsolation.value\` is \`false\`.

| rule | what it does | setting | routes | rests |
|---|---|---|---|---|
`;

/** The whole page, with one row for each rule in the order in which they are reported. */
export function rulesDocument(list: readonly Rule[] = rules): string {
  return `${introduction}${list.map(row).join('\n')}\n`;
}

function row(rule: Rule): string {
  const routes = rule.routes.map((name) => `\`${name}\``).join(' ');
  const setting = rule.setting === 'none' ? 'none' : `\`${rule.setting}\``;
  const rests = rule.whenIsolationIsOff === 'rests' ? 'yes' : 'no';
  return `| \`${rule.id}\` | ${rule.summary} | ${setting} | ${routes} | ${rests} |`;
}
