import { describe, expect, it } from 'vitest';
import { routes } from '../../src/engine/routes.js';
import { evaluate } from '../../src/rules/evaluate.js';
import { rules } from '../../src/rules/index.js';
import { noFacts } from '../../src/rules/no-facts.js';
import type { JudgedRequest } from '../../src/rules/rule.js';
import { enforcedLists, warnedBecause, warningKeys } from '../../src/settings/modes.js';
import { parseSettings } from '../../src/settings/parse.js';
import { settingsSchema } from '../../src/settings/schema.js';

function judge(routeName: string, settings: object, query: Record<string, string> = {}, body?: object) {
  const route = routes.find(({ name }) => name === routeName);
  if (route === undefined) throw new Error(routeName);
  const request: JudgedRequest = {
    route,
    params: {},
    query: new Map(Object.entries(query).map(([name, value]) => [name, [value]])),
    headers: new Map(),
    ...(body === undefined ? {} : { body: JSON.parse(JSON.stringify(body)) }),
    apiVersion: '1.47',
    caller: { uid: 1000, gid: 1000, pid: 1, groups: [] },
    engine: {
      version: '28.5.2',
      apiVersion: '1.51',
      cgroupVersion: '2',
      dataRoot: '/var/lib/docker',
      preparation: { runtime: true, defaultRuntime: true, builds: true },
    },
    settings: settingsSchema.parse(settings),
  };
  const { denials, warnings } = evaluate(rules, request, noFacts);
  return {
    denied: denials.map(({ rule }) => rule),
    warned: warnings.map(({ rule, reason }) => `${rule}: ${reason}`),
  };
}

const elsewhere = { fromImage: 'ghcr.io/someone/tool', tag: '1' };

describe('mode warn', () => {
  it('allows what the list would refuse, with a warning that names the setting', () => {
    const registryAccess = { value: true, registries: [{ address: 'docker.io' }] };
    expect(judge('image.pull', { registryAccess }, elsewhere).denied).toEqual(['registry-pull']);
    const tried = judge('image.pull', { registryAccess: { ...registryAccess, mode: 'warn' } }, elsewhere);
    expect(tried.denied).toEqual([]);
    expect(tried.warned).toEqual([expect.stringMatching(/^registry-pull: .*registryAccess.*mode is "warn"/)]);
  });

  it('is each section’s own', () => {
    const settings = { registryAccess: { value: true, mode: 'warn' }, blockDockerLoad: { value: true } };
    expect(judge('image.load', settings).denied).toEqual(['image-import']);
    expect(judge('image.load', { blockDockerLoad: { value: true, mode: 'warn' } }).denied).toEqual([]);
  });

  it('never weakens isolation, whatever else is in that mode', () => {
    const settings = {
      registryAccess: { value: true, mode: 'warn' },
      imageAccess: { value: true, mode: 'warn' },
      blockDockerLoad: { value: true, mode: 'warn' },
    };
    const body = { Image: 'busybox', HostConfig: { PidMode: 'host' } };
    expect(judge('container.create', settings, {}, body).denied).toContain('host-namespaces');
    for (const setting of ['enhancedContainerIsolation.value', 'hostFiles', 'volumes.types', 'none']) {
      const refused = { rule: 'host-namespaces', setting };
      expect(warnedBecause(settingsSchema.parse(settings), refused, {})).toBeUndefined();
    }
  });

  it('leaves a malformed request refused', () => {
    const settings = settingsSchema.parse({ registryAccess: { value: true, mode: 'warn' } });
    const refused = { rule: 'registry-pull', setting: 'registryAccess.registries' };
    expect(warnedBecause(settings, refused, {})).toBe('its mode is "warn"');
    expect(warnedBecause(settings, { ...refused, status: 400 }, {})).toBeUndefined();
  });
});

describe('rules that warn', () => {
  const isTaken = (enhancedContainerIsolation: object) =>
    settingsSchema.safeParse({ enhancedContainerIsolation }).success;
  const harmless: string[] = ['host-resources'];
  const atRisk: string[] = [
    'administration',
    'log-drivers',
    'network-creation',
    'other-callers',
    'process-lists',
    'subnets',
  ];

  it.each(rules.map(({ id }) => id))('%s', (id) => {
    expect(isTaken({ warn: [id] })).toBe(harmless.includes(id));
    expect(isTaken({ warnAtRiskOfRoot: [id] })).toBe(atRisk.includes(id));
  });

  it('are told apart by the file: what protects from root needs the key that says so', () => {
    const file = Buffer.from('{"enhancedContainerIsolation": {"warn": ["log-drivers"]}}');
    expect(() => parseSettings('f', file)).toThrow(/warn\[0\]: must be one of "host-resources"/);
    const mistaken = Buffer.from('{"enhancedContainerIsolation": {"warn": ["host-resource"]}}');
    expect(() => parseSettings('f', mistaken)).toThrow(/did you mean "host-resources"/);
  });

  it('warn whoever is on the host, and never a container over its socket', () => {
    const settings = settingsSchema.parse({
      enhancedContainerIsolation: { warn: ['host-resources'], warnAtRiskOfRoot: ['log-drivers'] },
    });
    const of = (rule: string, caller: { container?: string }) =>
      warnedBecause(settings, { rule, setting: 'enhancedContainerIsolation.value' }, caller);
    expect(of('log-drivers', {})).toContain('warnAtRiskOfRoot lists log-drivers');
    expect(of('log-drivers', { container: 'c' })).toBeUndefined();
    expect(of('host-resources', { container: 'c' })).toContain('warn lists host-resources');
    expect(of('subnets', {})).toBeUndefined();
  });
});

it('names everything that only warns', () => {
  expect(warningKeys(settingsSchema.parse({}))).toEqual([]);
  const settings = settingsSchema.parse({
    enhancedContainerIsolation: {
      warn: ['host-resources'],
      warnAtRiskOfRoot: ['subnets'],
      dockerSocketMount: {
        commandList: { mode: 'warn' },
        perImage: [{ image: 'ci', commandList: { mode: 'warn' } }],
      },
    },
    hostFiles: { sharingMode: 'warn' },
    portBindingBehavior: { mode: 'warn' },
    imageAccess: { mode: 'warn' },
  });
  expect(warningKeys(settings)).toEqual([
    'imageAccess.mode',
    'portBindingBehavior.mode',
    'hostFiles.sharingMode',
    'commandList.mode',
    'commandList.mode of ci',
    'rule host-resources',
    'rule subnets (at risk of root)',
  ]);
});

describe('the settings for builds', () => {
  it('leave the sections out that only warn, and are the same object each time', () => {
    const settings = settingsSchema.parse({
      registryAccess: { value: true, mode: 'warn' },
      imageAccess: { value: true },
    });
    const lists = enforcedLists(settings);
    expect([lists.registryAccess.value, lists.imageAccess.value]).toEqual([false, true]);
    expect(enforcedLists(settings)).toBe(lists);
  });

  it('are the settings themselves where nothing only warns', () => {
    const settings = settingsSchema.parse({ registryAccess: { value: true } });
    expect(enforcedLists(settings)).toBe(settings);
  });
});
