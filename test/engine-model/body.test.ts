import { describe, expect, test } from 'vitest';
import { bodyFieldNames, typeBody } from '../../src/engine/body.js';
import { type JsonValue, parseGoJson } from '../../src/engine/json.js';
import { bodyModels } from '../../src/engine/model/index.js';
import { type Route, routes } from '../../src/engine/routes.js';

function routeNamed(name: string): Route {
  const route = routes.find((row) => row.name === name);
  if (route === undefined) throw new Error(`no route ${name}`);
  return route;
}

function typed(name: string, text: string): JsonValue {
  const result = typeBody(routeNamed(name), parseGoJson(Buffer.from(text)), '1.47');
  if ('problems' in result)
    throw new Error(result.problems.map((found) => `${found.field}: ${found.reason}`).join('\n'));
  return 'list' in result ? result.list : result.body;
}

function problems(name: string, text: string): string[] {
  const result = typeBody(routeNamed(name), parseGoJson(Buffer.from(text)), '1.47');
  if (!('problems' in result)) throw new Error(`accepted as ${JSON.stringify(result)}`);
  return result.problems.map((found) => `${found.status} ${found.field}: ${found.reason}. ${found.remedy}`);
}

test('every route with a JSON body has a model, and every model a route', () => {
  const withJson = routes.filter((route) => route.body === 'json').map((route) => route.name);
  expect([...bodyModels.keys()].sort()).toEqual(withJson.sort());
});

describe('a create request', () => {
  test('of the docker CLI passes unchanged', () => {
    const text = JSON.stringify({
      Hostname: '',
      AttachStdin: false,
      Env: ['A=b'],
      Cmd: ['sh', '-c', 'echo "x"\n'],
      Image: 'busybox',
      Volumes: { '/data': {} },
      WorkingDir: '',
      OnBuild: [],
      Labels: { 'a.b': '1', 'A.B': '2' },
      HostConfig: {
        Binds: ['v:/v'],
        NetworkMode: 'default',
        PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] },
        RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
        ConsoleSize: [24, 80],
        Memory: 9007199254740991,
        BlkioWeightDevice: [],
        MaskedPaths: [],
        Ulimits: [{ Name: 'nofile', Hard: 1024, Soft: 1024 }],
        Mounts: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1, Mode: 511 } }],
      },
      NetworkingConfig: { EndpointsConfig: { default: { IPPrefixLen: 0, DriverOpts: { a: 'b' } } } },
    });
    expect(typed('container.create', text)).toEqual(JSON.parse(text));
  });

  test('keeps 64-bit integers exact', () => {
    const body = typed(
      'container.create',
      '{"HostConfig":{"Memory":9223372036854775807,"IOMaximumIOps":18446744073709551615}}',
    );
    expect(body).toEqual({
      HostConfig: { Memory: 9223372036854775807n, IOMaximumIOps: 18446744073709551615n },
    });
  });

  test('null means absent for fields, and an empty entry in maps', () => {
    expect(
      typed(
        'container.create',
        '{"Cmd":null,"HostConfig":{"MaskedPaths":null,"PortBindings":{"80/tcp":null},"Init":null},"Volumes":{"/v":null},"Labels":{"a":null},"NetworkingConfig":{"EndpointsConfig":{"n":null}}}',
      ),
    ).toEqual({
      HostConfig: { PortBindings: { '80/tcp': null } },
      Volumes: { '/v': {} },
      Labels: { a: '' },
      NetworkingConfig: { EndpointsConfig: { n: null } },
    });
    expect(typed('container.create', 'null')).toEqual({});
  });

  test('one string stands for a list of one where Docker has it so', () => {
    expect(
      typed('container.create', '{"Cmd":"sh","Entrypoint":"","HostConfig":{"CapAdd":"SYS_ADMIN"}}'),
    ).toEqual({
      Cmd: ['sh'],
      Entrypoint: [''],
      HostConfig: { CapAdd: ['SYS_ADMIN'] },
    });
    expect(problems('container.create', '{"Env":"A=b"}')[0]).toMatch(
      /^400 \/Env: .*cannot unmarshal string .* \[\]string/,
    );
  });

  test('loses unknown fields that say nothing', () => {
    expect(
      typed(
        'container.create',
        '{"New":null,"Newer":"","Newest":{"A":[],"B":{"C":0}},"HostConfig":{"X":false,"Y":0}}',
      ),
    ).toEqual({ HostConfig: {} });
  });

  test('may repeat its query in the body, as dockerode does', () => {
    expect(typed('container.create', '{"name":"web","platform":"linux/amd64","Image":"x"}')).toEqual({
      Image: 'x',
    });
    expect(typed('exec.start', '{"hijack":true,"stdin":true,"Tty":false,"Detach":false}')).toEqual({
      Tty: false,
      Detach: false,
    });
  });
});

describe('refused', () => {
  test.each<[string, string, RegExp]>([
    [
      'json-001',
      '{"image":"alpine"}',
      /^400 \/image: the key "image" is a variant of "Image".* Write "Image"\./,
    ],
    ['json-001', '{"hostconfig":{"privileged":true}}', /^400 \/hostconfig: .*variant of "HostConfig"/],
    ['json-002', '{"HoſtConfig":{"Bindſ":["/:/h"]}}', /variant of "HostConfig"/],
    [
      'kelvin sign',
      '{"HostConfig":{"Networ\u212aMode":"host"}}',
      /^400 \/HostConfig\/Networ\u212aMode: .*variant of "NetworkMode"/,
    ],
    ['escaped variant', '{"\\u0068ostConfig":{}}', /variant of "HostConfig"/],
    ['json-009', '{"HostConfig":{"Privileged":true},"hostconfig":null}', /variant of "HostConfig"/],
    [
      'json-012',
      '{"Image":"a","Privileged":true}',
      /^400 \/Privileged: .*not known here, and has a value\. Move it into HostConfig/,
    ],
    ['json-012', '{"Image":"a","Binds":["/:/h"]}', /^400 \/Binds: .* Move it into HostConfig/],
    [
      'json-017',
      '{"HostConfig":{"Memory":9223372036854775808}}',
      /cannot unmarshal number 9223372036854775808 into Go struct field HostConfig.Memory of type int64/,
    ],
    ['negative', '{"HostConfig":{"IOMaximumIOps":-1}}', /of type uint64/],
    ['16 bits', '{"HostConfig":{"BlkioWeight":65536}}', /of type uint16/],
    ['fraction', '{"HostConfig":{"Memory":0.5}}', /cannot unmarshal number 0.5/],
    [
      'json-019',
      '{"HostConfig":{"Privileged":"true"}}',
      /^400 \/HostConfig\/Privileged: json: cannot unmarshal string into Go struct field HostConfig.Privileged of type bool/,
    ],
    ['json-020', '{"Labels":[[]]}', /^400 \/Labels: .*cannot unmarshal array .* map\[string\]string/],
    [
      'json-021',
      '{"HostConfig":{"FutureHostAccess":true}}',
      /^400 \/HostConfig\/FutureHostAccess: the field "FutureHostAccess" is not known/,
    ],
    [
      'nested',
      '{"HostConfig":{"Mounts":[{"Type":"bind","BindOptions":{"Future":1}}]}}',
      /^400 \/HostConfig\/Mounts\/0\/BindOptions\/Future/,
    ],
    ['nested variant', '{"HostConfig":{"Mounts":[{"source":"/"}]}}', /variant of "Source"/],
    ['null element', '{"HostConfig":{"Mounts":[null]}}', /^400 \/HostConfig\/Mounts\/0: a list has null/],
    ['array', '[]', /^400 : json: cannot unmarshal array into/],
    ['string', '"x"', /cannot unmarshal string/],
    ['number in a list', '{"Env":[1]}', /^400 \/Env\/0: .*cannot unmarshal number 1/],
    ['number in a map', '{"Labels":{"a/b":1}}', /^400 \/Labels\/a~1b: /],
    [
      'object in a set',
      '{"ExposedPorts":{"80/tcp":{"HostPort":"1"}}}',
      /^400 \/ExposedPorts\/80~1tcp\/HostPort/,
    ],
    ['old capabilities', '{"HostConfig":{"Capabilities":["CAP_SYS_ADMIN"]}}', /has lost its meaning/],
    ['old cpuset', '{"Cpuset":"0"}', /use HostConfig.CpusetCpus/],
    ['console size', '{"HostConfig":{"ConsoleSize":[1,2,3]}}', /more than 2 elements/],
    ['prototype', '{"__proto__":{"HostConfig":{"Privileged":true}}}', /"__proto__" is not known/],
  ])('%s %s', (_id, text, expected) => {
    expect(problems('container.create', text)[0]).toMatch(expected);
  });

  test('everything at once', () => {
    expect(
      problems('container.create', '{"a":1,"B":2,"image":"","HostConfig":{"Memory":"1","Binds":[1,null]}}'),
    ).toHaveLength(6);
  });

  test.each([
    ['exec.start', '{"Detach":true,"detach":false}', /variant of "Detach"/],
    ['container.update', '{"Privileged":true}', /"Privileged" is not known/],
    ['volume.create', '{"DriverOpts":{"o":1}}', /DriverOpts/],
    ['secret.create', '{"Data":"***"}', /\[\]uint8/],
    [
      'service.create',
      '{"TaskTemplate":{"ContainerSpec":{"Mounts":[{"type":"bind"}]}}}',
      /variant of "Type"/,
    ],
    ['plugin.set', '{"a":1}', /cannot unmarshal object/],
    ['image.commit', '{"HostConfig":{"Privileged":true}}', /a commit ignores it/],
  ])('%s %s', (name, text, expected) => {
    expect(problems(name, text)[0]).toMatch(expected);
  });
});

describe('bodies that aren’t there', () => {
  test('are empty objects where dockerd takes them so, and problems elsewhere', () => {
    expect(typeBody(routeNamed('exec.start'), undefined, '1.47')).toEqual({ body: {} });
    expect(typeBody(routeNamed('plugin.set'), undefined, '1.47')).toEqual({ list: [] });
    expect(typeBody(routeNamed('container.create'), undefined, '1.47')).toHaveProperty('problems');
  });
});

test('lists pass as lists', () => {
  expect(typed('plugin.set', '["A=b"]')).toEqual(['A=b']);
  expect(typed('plugin.pull', '[{"Name":"network","Description":"","Value":["host"]}]')).toEqual([
    { Name: 'network', Description: '', Value: ['host'] },
  ]);
});

test('floats stay what they are', () => {
  expect(
    typed(
      'service.create',
      '{"UpdateConfig":{"MaxFailureRatio":0.25},"RollbackConfig":{"MaxFailureRatio":1}}',
    ),
  ).toEqual({
    UpdateConfig: { MaxFailureRatio: 0.25 },
    RollbackConfig: { MaxFailureRatio: 1 },
  });
});

test('names of fields are offered for queries', () => {
  expect(bodyFieldNames(routeNamed('container.create'))?.has('HostConfig')).toBe(true);
  expect(bodyFieldNames(routeNamed('system.ping'))).toBeUndefined();
});
