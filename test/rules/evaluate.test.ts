import { describe, expect, test } from 'vitest';
import { apply, collectNeeds, evaluate, RuleConflict } from '../../src/rules/evaluate.js';
import { pointer, valueAt, withValueAt } from '../../src/rules/json-pointer.js';
import { denialBody } from '../../src/rules/message.js';
import { noFacts } from '../../src/rules/no-facts.js';
import type { Denial, Finding, Rule } from '../../src/rules/rule.js';
import { fixtureSchema, requestOf } from './fixture.js';

const request = requestOf(
  fixtureSchema.parse({ title: 'a create', body: { Image: 'busybox' }, query: { name: ['web'] } }),
);

function denial(rule: string, field: string, more: Partial<Denial> = {}): Denial {
  const reason = `${field} is refused`;
  return { kind: 'deny', rule, field, reason, setting: 'some.setting', remedy: 'Leave it out.', ...more };
}

function rule(id: string, findings: readonly Finding[], more: Partial<Rule> = {}): Rule {
  const whenIsolationIsOff = 'rests';
  return {
    id,
    summary: id,
    setting: 'none',
    whenIsolationIsOff,
    routes: ['*'],
    judge: () => findings,
    ...more,
  };
}

describe('evaluate', () => {
  test('reports the findings of every rule', () => {
    const list = [
      rule('one', [denial('one', '/A'), denial('one', '/B')]),
      rule('two', [
        { kind: 'warn', rule: 'two', field: '/C', reason: 'look' },
        { kind: 'set', rule: 'two', field: '/D', value: 1, reason: 'so' },
      ]),
      rule('three', [denial('three', '/E')]),
    ];
    const verdict = evaluate(list, request, noFacts);
    expect(verdict.denials.map((found) => found.field)).toEqual(['/A', '/B', '/E']);
    expect(verdict.sets).toHaveLength(1);
    expect(verdict.warnings).toHaveLength(1);
  });

  test('asks only the rules that name the route', () => {
    const list = [
      rule('here', [denial('here', '/A')], { routes: ['image.pull', 'container.create'] }),
      rule('elsewhere', [denial('elsewhere', '/A')], { routes: ['image.pull'] }),
    ];
    expect(evaluate(list, request, noFacts).denials.map((found) => found.rule)).toEqual(['here']);
  });

  test('lets isolation rules rest while isolation is off, and no others', () => {
    const off = requestOf(
      fixtureSchema.parse({ title: 'off', settings: { enhancedContainerIsolation: { value: false } } }),
    );
    const list = [
      rule('isolation', [denial('isolation', '/A')], { needs: () => [{ kind: 'host-routes' }] }),
      rule('registries', [denial('registries', '/A')], { whenIsolationIsOff: 'judges' }),
    ];
    expect(evaluate(list, off, noFacts).denials.map((found) => found.rule)).toEqual(['registries']);
    expect(collectNeeds(list, off)).toEqual([]);
  });

  test('collects each need once', () => {
    const needs = () =>
      [
        { kind: 'image', ref: 'busybox' },
        { kind: 'path', path: '/srv' },
      ] as const;
    const list = [rule('one', [], { needs }), rule('two', [], { needs })];
    expect(collectNeeds(list, request)).toEqual([...needs()]);
  });
});

describe('apply', () => {
  test('makes missing objects and leaves the judged request as it was', () => {
    const sent = apply(request, [
      { kind: 'set', rule: 'r', field: '/HostConfig/LogConfig/Type', value: 'local', reason: '' },
      { kind: 'set-query', rule: 'r', name: 'name', value: undefined, reason: '' },
      { kind: 'set-query', rule: 'r', name: 'platform', value: 'linux/amd64', reason: '' },
    ]);
    expect(sent.body).toEqual({ Image: 'busybox', HostConfig: { LogConfig: { Type: 'local' } } });
    expect([...sent.query]).toEqual([['platform', ['linux/amd64']]]);
    expect(request.body).toEqual({ Image: 'busybox' });
    expect([...request.query]).toEqual([['name', ['web']]]);
  });

  test('refuses contradicting assignments instead of letting the last one win', () => {
    const set = (name: string, field: string, value: string) =>
      ({ kind: 'set', rule: name, field, value, reason: '' }) as const;
    expect(() => apply(request, [set('one', '/A', 'x'), set('two', '/A', 'y')])).toThrow(RuleConflict);
    expect(() => apply(request, [set('one', '/A/B', 'x'), set('two', '/A', 'y')])).toThrow(RuleConflict);
    expect(apply(request, [set('one', '/A', 'x'), set('two', '/A', 'x')]).body).toMatchObject({ A: 'x' });
    expect(apply(request, [set('one', '/A', 'x'), set('two', '/AB', 'y')]).body).toMatchObject({
      A: 'x',
      AB: 'y',
    });
  });
});

describe('JSON pointers', () => {
  test('escape and unescape keys', () => {
    const field = pointer('HostConfig', 'Sysctls', 'a/b~c');
    expect(field).toBe('/HostConfig/Sysctls/a~1b~0c');
    expect(valueAt(withValueAt({}, field, '1'), field)).toBe('1');
  });

  test('treat __proto__ and inherited names as plain keys', () => {
    expect(valueAt({}, '/constructor')).toBeUndefined();
    const made = withValueAt({}, '/__proto__/polluted', true);
    expect(Object.keys(made)).toEqual(['__proto__']);
    expect(Object.hasOwn({}, 'polluted')).toBe(false);
    expect(valueAt(made, '/__proto__/polluted')).toBe(true);
  });

  test('replace array elements, but never add or remove them', () => {
    expect(withValueAt({ a: [1, { b: 2 }] }, '/a/1/b', 3)).toEqual({ a: [1, { b: 3 }] });
    expect(() => withValueAt({ a: [1] }, '/a/1', 3)).toThrow(TypeError);
    expect(() => withValueAt({ a: [1] }, '/a/0', undefined)).toThrow(TypeError);
    expect(() => withValueAt({ a: 'text' }, '/a/b', 3)).toThrow(TypeError);
  });

  test('removing below something that is absent changes nothing', () => {
    expect(withValueAt({ HostConfig: null }, '/HostConfig/UsernsMode', undefined)).toEqual({
      HostConfig: null,
    });
  });
});

describe('the message of a refusal', () => {
  test('says what, where, which setting and what to do', () => {
    expect(denialBody([denial('pid', '/HostConfig/PidMode')])).toEqual({
      status: 403,
      message:
        'enhanced container isolation: /HostConfig/PidMode is refused (rule pid at /HostConfig/PidMode, setting some.setting). Leave it out.',
      refusals: [
        {
          rule: 'pid',
          field: '/HostConfig/PidMode',
          reason: '/HostConfig/PidMode is refused',
          setting: 'some.setting',
          remedy: 'Leave it out.',
        },
      ],
    });
  });

  test('keeps a literal text word for word', () => {
    expect(denialBody([denial('pid', '/A', { text: 'mount denied' })]).message).toBe('mount denied');
  });

  test('lists all of several refusals, and lets a malformed request win', () => {
    const answer = denialBody([
      denial('one', '/A', { text: 'mount denied' }),
      denial('two', '/B', { status: 400 }),
    ]);
    expect(answer.status).toBe(400);
    expect(answer.message.split('\n')).toEqual([
      'enhanced container isolation: 2 parts of this request are refused:',
      '  - mount denied',
      '  - /B is refused (rule two at /B, setting some.setting). Leave it out.',
    ]);
    expect(answer.refusals).toHaveLength(2);
  });
});
