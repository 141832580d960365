import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/record.js';
import { type Audit, openAudit } from '../../src/audit/sink.js';
import { isolation } from '../../src/cli/isolation.js';
import { statusScreen } from '../../src/cli/status.js';
import { askDaemon, askStatus } from '../../src/control/client.js';
import { lockedIn } from '../../src/control/isolation.js';
import { countedAudit, Metrics } from '../../src/control/metrics.js';
import { type Control, startControl, startHealthPort } from '../../src/control/server.js';
import { findUnisolated, type Status } from '../../src/control/status.js';
import { SettingsHolder } from '../../src/settings/watch.js';

let folder: string;
let file: string;
let settings: SettingsHolder;
let control: Control;
let audit: Audit;
let records: AuditRecord[];
let metrics: Metrics;
const ready = { engine: true, runtime: true, ledger: true };

const silent = { info: () => {}, warn: () => {}, error: () => {} };

function status(): Status {
  const isolation = settings.current.enhancedContainerIsolation;
  return {
    version: '0.1.0',
    pid: process.pid,
    startedAt: Date.now(),
    listen: ['unix:///run/cofferdam/docker.sock'],
    engine: { address: 'unix:///run/docker.sock', version: '28.5.2', apiVersion: '1.51', embedded: false },
    runtime: { backend: 'runc', registered: true, isDefault: true },
    settings: {
      path: file,
      source: 'administrator',
      generation: settings.generation,
      warnings: [],
      isolation: { value: isolation.value, locked: isolation.locked, lockedIn: lockedIn(settings) },
      locked: [],
      onlyWarning: [],
    },
    ranges: { inUse: 1, free: 65_533 },
    ready,
    past: ['dockerd listens on TCP port 2375'],
    notIsolated: findUnisolated(
      [
        { id: 'a'.repeat(64), name: 'web', runtime: 'sysbox-runc', running: true },
        { id: 'b'.repeat(64), name: 'old', runtime: 'runc', running: false },
        { id: 'c'.repeat(64), name: 'lost', runtime: 'sysbox-runc', running: true },
      ],
      (id) => id.startsWith('a'),
    ),
  };
}

function write(value: boolean, locked: boolean) {
  writeFileSync(file, JSON.stringify({ enhancedContainerIsolation: { value, locked } }), { mode: 0o644 });
  settings?.reload();
}

beforeEach(async () => {
  folder = mkdtempSync('/var/tmp/cofferdam-control-');
  chmodSync(folder, 0o755);
  file = join(folder, 'settings.json');
  write(true, false);
  records = [];
  settings = new SettingsHolder({ path: file, stateDir: join(folder, 'state'), log: silent as never });
  metrics = new Metrics(async () => ({
    ranges: { inUse: 7, free: 100 },
    settingsGeneration: settings.generation,
    settingsCurrent: settings.problem === undefined,
    isolation: settings.current.enhancedContainerIsolation.value,
    ready: true,
    connections: { idle: 1, request: 0, stream: 0, tunnel: 2 },
  }));
  const log = openAudit(join(folder, 'state'));
  audit = countedAudit(
    {
      record: (record) => {
        records.push(record);
        log.record(record);
      },
      close: () => log.close(),
    },
    metrics,
  );
  control = await startControl({
    runDir: join(folder, 'run'),
    stateDir: join(folder, 'state'),
    group: 0,
    mode: 0o666,
    settings,
    audit,
    status: async () => status(),
    ready: async () => ready,
    metrics: () => metrics.text(),
  });
});
afterEach(async () => {
  await control.close();
  await audit.close();
  metrics.close();
  settings.close();
  rmSync(folder, { recursive: true });
});

const runDir = () => join(folder, 'run');
const verb = (...argv: string[]) => isolation(['--run-dir', runDir(), ...argv], {});

describe('isolation on and off', () => {
  it('is switched where it is not locked, kept, and audited with the caller', async () => {
    expect(await verb('off')).toBe(0);
    expect(settings.current.enhancedContainerIsolation.value).toBe(false);
    expect(records).toEqual([
      expect.objectContaining({
        event: 'isolation.switched',
        caller: expect.objectContaining({ uid: process.getuid?.(), pid: process.pid }),
        details: ['wanted: off'],
      }),
    ]);
    const later = new SettingsHolder({ path: file, stateDir: join(folder, 'state'), log: silent as never });
    expect(later.current.enhancedContainerIsolation.value).toBe(false);
    later.close();
    expect(await verb('on')).toBe(0);
    expect(settings.current.enhancedContainerIsolation.value).toBe(true);
  });

  it('counts at once while the newest file is broken: the lock of the last good one decides', async () => {
    writeFileSync(file, '{');
    expect(await verb('off')).toBe(0);
    expect(settings.current.enhancedContainerIsolation.value).toBe(false);
    expect(await verb('on')).toBe(0);
    expect(settings.current.enhancedContainerIsolation.value).toBe(true);
    write(true, true);
    writeFileSync(file, '{');
    expect(await verb('off')).toBe(1);
  });

  it('is said to be locked by the policy bundle where the file does not lock it', () => {
    const locks = (locked: boolean) => {
      const policy = { url: 'https://policy.example/', publicKey: `${'A'.repeat(43)}=` };
      writeFileSync(file, JSON.stringify({ policy, enhancedContainerIsolation: { locked } }));
      settings.reload();
      return lockedIn(settings);
    };
    expect([locks(true), locks(false)]).toEqual([file, 'https://policy.example/']);
  });

  it('goes back to what the settings say', async () => {
    await verb('off');
    expect(await verb('default')).toBe(0);
    expect(settings.current.enhancedContainerIsolation.value).toBe(true);
  });

  it('is refused where it is locked, naming the file', async () => {
    write(true, true);
    const { status: code, text } = await askDaemon(runDir(), 'POST', '/isolation', { value: false });
    expect(code).toBe(403);
    expect(text).toContain(`enhancedContainerIsolation.locked in ${file}`);
    expect(await verb('off')).toBe(1);
    expect(settings.current.enhancedContainerIsolation.value).toBe(true);
    expect(records.map((record) => record.event)).toEqual(['isolation.refused', 'isolation.refused']);
  });

  it('can not be switched around the daemon by a file in the state folder when it is locked', async () => {
    await verb('off');
    write(true, true);
    expect(settings.current.enhancedContainerIsolation).toMatchObject({ value: true, locked: true });
    expect((await askStatus(runDir())).settings.isolation.value).toBe(true);
  });

  it('is not switched by what a user sets for the command: the daemon alone reads the settings', async () => {
    write(true, true);
    const own = join(folder, 'own.json');
    writeFileSync(own, '{"enhancedContainerIsolation": {"value": false, "locked": false}}');
    const environment = { COFFERDAM_SETTINGS: own, COFFERDAM_STATE: folder };
    expect(await isolation(['--run-dir', runDir(), '--settings', own, 'off'], environment)).toBe(1);
    expect(settings.current.enhancedContainerIsolation).toMatchObject({ value: true, locked: true });
    expect((await askStatus(runDir())).settings.path).toBe(file);
  });

  it.runIf(process.getuid?.() === 0)('knows an unprivileged caller by its own uid', async () => {
    const code = `const {request}=require('http');const r=request({socketPath:process.argv[1],method:'POST',path:'/isolation'},(a)=>a.resume().on('end',()=>process.exit(a.statusCode===200?0:1)));r.end('{"value":false}')`;
    const child = await new Promise<number | null>((resolve) => {
      spawn(process.execPath, ['-e', code, control.path], { uid: 4711, gid: 4711 }).on('exit', resolve);
    });
    expect(child).toBe(0);
    expect(records.at(-1)).toMatchObject({ caller: { uid: 4711, gid: 4711 } });
  });

  it.each(['{"value": "off"}', '{"value": true, "force": true}', '[]', 'x'])(
    'refuses the body %s',
    async (text) => {
      const body = text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : { text };
      const { status: code } = await askDaemon(runDir(), 'POST', '/isolation', body);
      expect(code).toBe(400);
      expect(settings.generation).toBe(1);
    },
  );
});

describe('status', () => {
  it('answers in full, and names what is not isolated and why', async () => {
    const answer = await askStatus(runDir());
    expect(answer.notIsolated.map(({ name, reason }) => [name, reason])).toEqual([
      ['old', 'its runtime is runc: it was made without isolation'],
      ['lost', 'the ledger has no range for it'],
    ]);
    expect(statusScreen(answer)).toContain('bbbbbbbbbbbb   old    stopped   its runtime is runc');
  });

  it('is drawn again and again with --watch', async () => {
    const program = fileURLToPath(new URL('../../bin/cofferdam', import.meta.url));
    const watching = spawn(process.execPath, [program, 'status', '--watch', '--run-dir', runDir()]);
    let drawn = '';
    watching.stdout.on('data', (bytes: Buffer) => {
      drawn += bytes.toString();
    });
    await expect.poll(() => drawn, { timeout: 20_000 }).toMatch(/^isolation +on, not locked$/m);
    write(false, true);
    await expect.poll(() => drawn, { timeout: 20_000 }).toMatch(/^isolation +off, locked$/m);
    watching.kill();
    await once(watching, 'exit');
  });

  it('tells a health check', async () => {
    expect((await askDaemon(runDir(), 'GET', '/healthz')).status).toBe(200);
    expect((await askDaemon(runDir(), 'GET', '/readyz')).status).toBe(200);
    ready.engine = false;
    expect((await askDaemon(runDir(), 'GET', '/readyz')).status).toBe(503);
    ready.engine = true;
  });

  it('says when there is no daemon', async () => {
    await control.close();
    await expect(askStatus(runDir())).rejects.toThrow(/the daemon is not running/);
  });
});

describe('the socket', () => {
  it('has the mode of the Docker socket', () => {
    expect(statSync(control.path).mode & 0o777).toBe(0o666);
  });

  it('replaces what a killed daemon left', async () => {
    await control.close();
    mkdirSync(runDir(), { recursive: true });
    writeFileSync(control.path, '');
    control = await startControl({
      runDir: runDir(),
      stateDir: join(folder, 'state'),
      group: 0,
      mode: 0o660,
      settings,
      audit,
      status: async () => status(),
      ready: async () => ready,
      metrics: () => metrics.text(),
    });
    expect((await askStatus(runDir())).version).toBe('0.1.0');
  });

  it('knows nothing else', async () => {
    expect((await askDaemon(runDir(), 'GET', '/containers/json')).status).toBe(404);
  });
});

it('counts requests from their audit records', async () => {
  const request: AuditRecord = {
    event: 'request',
    method: 'POST',
    route: 'container.create',
    verdict: 'denied',
    rules: ['host-namespaces'],
    generation: 1,
    status: 403,
    milliseconds: 2,
  };
  audit.record(request);
  audit.record(request);
  const { text } = await askDaemon(runDir(), 'GET', '/metrics');
  expect(text).toContain('cofferdam_requests_total{route="container.create",verdict="denied"} 2');
  expect(text).toContain('cofferdam_refusals_total{rule="host-namespaces"} 2');
  expect(text).toContain('cofferdam_request_duration_seconds_bucket{le="0.0025",route="container.create"} 2');
  expect(text).toContain('cofferdam_ranges_in_use 7');
  expect(text).toContain('cofferdam_client_connections{use="tunnel"} 2');
});

it('serves health and metrics on a loopback port, and nothing else', async () => {
  const port = 20_000 + (process.pid % 20_000);
  const health = await startHealthPort(`127.0.0.1:${port}`, {
    ready: async () => ready,
    metrics: () => metrics.text(),
  });
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  expect(await get('/healthz')).toBe(200);
  expect(await get('/readyz')).toBe(200);
  expect(await get('/metrics')).toBe(200);
  expect(await get('/status')).toBe(404);
  const post = await fetch(`http://127.0.0.1:${port}/isolation`, { method: 'POST', body: '{"value":false}' });
  expect(post.status).toBe(404);
  expect(settings.current.enhancedContainerIsolation.value).toBe(true);
  await health.close();
});

/** The real metrics with their labels, from one reading of everything that can be counted. */
async function realMetrics(): Promise<Map<string, Set<string>>> {
  audit.record({
    event: 'request',
    method: 'POST',
    route: 'container.create',
    verdict: 'denied',
    rules: ['host-namespaces'],
    generation: 1,
    status: 403,
    milliseconds: 2,
    phases: { read: 0.5, judge: 1, carry: 0.5 },
  });
  audit.record({
    event: 'request',
    method: 'POST',
    route: 'image.pull',
    verdict: 'allowed',
    rules: ['registry-pull'],
    warnings: ['not on the list'],
    generation: 1,
    status: 200,
    milliseconds: 2,
  });
  metrics.prepared('prepared', 5);
  metrics.registryAsked('answered');
  metrics.policyRefreshed('taken');
  const real = new Map<string, Set<string>>();
  for (const [, name = '', labels = ''] of (await metrics.text()).matchAll(
    /^(cofferdam_\w+?)(?:\{(.*)\})? /gm,
  ))
    real.set(name, new Set([...labels.matchAll(/(\w+)="/g)].map(([, label]) => label ?? '')));
  return real;
}

it('has a dashboard whose metrics and labels are all real, and shows every metric', async () => {
  const file = new URL('../../config/grafana-dashboard.json', import.meta.url);
  const expressions = [...readFileSync(file, 'utf8').matchAll(/"expr": "(.*)"/g)].map(
    ([, text]) => text ?? '',
  );
  const real = await realMetrics();
  const shown = new Set<string>();
  for (const expression of expressions) {
    const [, by = ''] = /by \(([^)]*)\)/.exec(expression) ?? [];
    for (const [name] of expression.matchAll(/cofferdam_\w+/g)) {
      expect([...real.keys()]).toContain(name);
      for (const label of by.split(', ').filter((word) => word !== ''))
        expect(real.get(name)).toContain(label);
      shown.add(name.replace(/_bucket$/, ''));
    }
  }
  const notShown = [...real.keys()].filter((name) => !shown.has(name.replace(/_(bucket|sum|count)$/, '')));
  expect(notShown).toEqual(['cofferdam_settings_generation', 'cofferdam_start_time_seconds']);
});

it('has every metric in docs/administration.md, and no other', async () => {
  const page = readFileSync(new URL('../../docs/administration.md', import.meta.url), 'utf8');
  const documented = new Set([...page.matchAll(/`(cofferdam_\w+)`/g)].map(([, name]) => name));
  const text = await metrics.text();
  const real = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect([...documented].sort()).toEqual(real.sort());
});

it('counts phases, preparations, and what was asked of registries and for the policy', async () => {
  await realMetrics();
  const text = await metrics.text();
  expect(text).toContain('cofferdam_request_phase_seconds_sum{phase="judge"} 0.001');
  expect(text).toContain('cofferdam_runtime_preparation_seconds_count{outcome="prepared"} 1');
  expect(text).toContain('cofferdam_registry_refreshes_total{outcome="answered"} 1');
  expect(text).toContain('cofferdam_policy_refreshes_total{outcome="taken"} 1');
  expect(text).toMatch(/cofferdam_event_loop_delay_seconds\{quantile="0.99"\} [\d.e-]+$/m);
});
