import { afterEach, beforeEach, expect, it, type MockInstance, vi } from 'vitest';
import { explain } from '../../src/cli/explain.js';
import { rules } from '../../src/rules/index.js';

let out: MockInstance<typeof process.stdout.write>;

beforeEach(() => {
  out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => {
  out.mockRestore();
});

const printed = () => out.mock.calls.map(([text]) => String(text)).join('');

it.each(rules.map((rule) => [rule.id, rule] as const))(
  '%s has a page: what it does, where, and by which setting with its value',
  async (id, rule) => {
    expect(await explain([id], {})).toBe(0);
    const page = printed();
    expect(page).toContain(rule.summary);
    for (const route of rule.routes) expect(page).toContain(route);
    expect(page).toMatch(
      new RegExp(
        `setting: ${rule.setting.replaceAll('.', '\\.')}${rule.setting === 'none' ? '' : '( = .+)?'}$`,
        'm',
      ),
    );
  },
);

it('names the rules there are where it knows none of that name', async () => {
  await expect(explain(['host-mount'], {})).rejects.toThrow(
    /there is no rule host-mount; there are: .*host-mounts/,
  );
});
