import { describe, expect, it } from 'vitest';
import { parseSettings } from '../../src/settings/parse.js';
import { SettingsProblem } from '../../src/settings/problem.js';
import { defaultSettings } from '../../src/settings/schema.js';

function parse(source: string | Buffer) {
  return parseSettings('/etc/x.json', Buffer.from(source as string));
}

function issues(source: string | Buffer) {
  try {
    parse(source);
  } catch (error) {
    if (error instanceof SettingsProblem) return error.issues;
    throw error;
  }
  throw new Error('the settings were accepted');
}

describe('a file written for Docker Desktop', () => {
  const desktop = `{
  "configurationFileVersion": 2,
  "exposeDockerAPIOnTCP2375": { "locked": true, "value": false },
  "proxy": { "locked": true, "mode": "system", "http": "", "https": "", "exclude": [] },
  "enhancedContainerIsolation": {
    "locked": true,
    "value": true,
    "dockerSocketMount": {
      "imageList": { "images": ["docker.io/localstack/localstack:*", "docker.io/testcontainers/ryuk:*"] },
      "commandList": { "type": "deny", "commands": ["push"] }
    }
  },
  "kubernetes": { "locked": true, "enabled": false, "imagesRepository": "" },
  "blockDockerLoad": { "locked": false, "value": true }
}`;

  it('is understood unchanged, and keys without a meaning are listed', () => {
    const { settings, warnings, ignored } = parse(desktop);
    expect(settings.enhancedContainerIsolation).toMatchObject({
      locked: true,
      value: true,
      dockerSocketMount: {
        imageList: { allowDerivedImages: true },
        commandList: { type: 'deny', commands: ['push'] },
      },
    });
    expect(settings.blockDockerLoad.value).toBe(true);
    expect(warnings).toEqual([]);
    expect(ignored).toEqual(['exposeDockerAPIOnTCP2375', 'proxy', 'kubernetes']);
  });

  it('may spell its keys in any case, as Docker Desktop lets it', () => {
    const { settings, warnings } = parse('{"EnhancedContainerIsolation": {"Value": true, "LOCKED": true}}');
    expect(settings.enhancedContainerIsolation.locked).toBe(true);
    expect(warnings).toEqual([]);
  });
});

describe('what is absent', () => {
  it('takes every default from an empty object', () => {
    expect(parse('{}').settings).toEqual(defaultSettings);
  });

  it('needs no version', () => {
    expect(parse('{"enhancedContainerIsolation": {"locked": true}}').settings).toMatchObject({
      configurationFileVersion: 2,
      enhancedContainerIsolation: { locked: true, value: true },
    });
  });

  it('is isolated when the section is there without a value', () => {
    expect(parse('{"enhancedContainerIsolation": {}}').settings.enhancedContainerIsolation.value).toBe(true);
  });
});

describe('encodings', () => {
  it('accepts a UTF-8 byte order mark', () => {
    expect(parse('\ufeff{}').settings).toEqual(defaultSettings);
  });

  it.each([
    ['UTF-16, little endian', Buffer.from('\ufeff{}', 'utf16le'), /UTF-16/],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /not valid UTF-8/],
    ['an empty file', '', /is empty/],
    ['a file of spaces', ' \n\t', /is empty/],
  ])('refuses %s', (_, source, message) => {
    expect(issues(source)[0]?.message).toMatch(message);
  });
});

describe('errors name line, key and a suggestion', () => {
  it('says where a wrong type stands, and what to write', () => {
    expect(issues('{\n  "enhancedContainerIsolation": {\n    "value": "true"\n  }\n}')).toEqual([
      {
        line: 3,
        column: 14,
        key: 'enhancedContainerIsolation.value',
        message: 'must be true or false',
        suggestion: 'write true without quotes',
      },
    ]);
  });

  it('suggests the nearest allowed value', () => {
    expect(issues('{"existingContainers": "refuze"}')[0]).toMatchObject({
      line: 1,
      key: 'existingContainers',
      suggestion: 'did you mean "refuse"?',
    });
  });

  it('names a missing key by its object', () => {
    expect(issues('{"registryAccess": {\n"registries": [\n{"allow": ["pull"]}]}}')[0]).toMatchObject({
      line: 3,
      key: 'registryAccess.registries[0].address',
      message: 'is missing',
    });
  });

  it('reports everything at once', () => {
    const found = issues('{"blockDockerLoad": {"value": 1}, "shutdown": {"drainSeconds": -1}}');
    expect(found.map((issue) => issue.key)).toEqual(['blockDockerLoad.value', 'shutdown.drainSeconds']);
  });

  it.each([
    ['a comma too many', '{\n"audit": {},\n}', 3],
    ['a comment', '{\n// isolated\n}', 2],
    ['a missing brace', '{\n"audit": {', 2],
    ['a second document', '{}\n{}', 2],
    ['a bare word', '{"blockDockerLoad": {"value": True}}', 1],
  ])('points at %s', (_, source, line) => {
    const [first] = issues(source);
    expect(first?.line).toBe(line);
    expect(first?.message).toBeTruthy();
  });

  it.each(['[]', '"isolated"', 'null', '1'])('refuses %s as a whole', (source) => {
    expect(issues(source)[0]?.message).toMatch(/must be an object/);
  });

  it('refuses a key that is written twice, also in two spellings', () => {
    const found = issues('{"blockDockerLoad": {"value": true},\n"BlockDockerLoad": {"value": false}}');
    expect(found[0]).toMatchObject({ line: 2, key: 'blockDockerLoad', message: 'is written twice' });
  });
});

describe('unknown keys', () => {
  it('warn with the nearest known one, and never fail', () => {
    const { settings, warnings } = parse(
      '{"enhancedContainerIsolation": {\n"dockerSocketMounts": {}}, "somethingElse": [1]}',
    );
    expect(settings).toEqual(defaultSettings);
    expect(warnings).toEqual([
      {
        line: 2,
        column: 1,
        key: 'enhancedContainerIsolation.dockerSocketMounts',
        message: 'unknown key, ignored',
        suggestion: 'did you mean enhancedContainerIsolation.dockerSocketMount?',
      },
      { line: 2, column: 28, key: 'somethingElse', message: 'unknown key, ignored' },
    ]);
  });

  it('are told in a list of objects as well', () => {
    const { warnings } = parse(
      '{"registryAccess": {"registries": [{"address": "a.example", "repository": ["x"]}]}}',
    );
    expect(warnings[0]).toMatchObject({
      key: 'registryAccess.registries[0].repository',
      suggestion: 'did you mean registryAccess.registries[0].repositories?',
    });
  });

  it('may be called __proto__ without an effect', () => {
    const { settings } = parse(
      '{"__proto__": {"locked": true}, "enhancedContainerIsolation": {"__proto__": {"locked": true}}}',
    );
    expect(settings).toEqual(defaultSettings);
  });

  it('do not stop a file of a newer format', () => {
    const { warnings } = parse('{"configurationFileVersion": 3}');
    expect(warnings[0]).toMatchObject({ key: 'configurationFileVersion' });
  });
});
