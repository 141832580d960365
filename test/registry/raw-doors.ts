/** Builds that no docker command would send, as a client that speaks to BuildKit itself makes them. */
import { randomUUID } from 'node:crypto';
import { inspected } from '../../src/registry/buildkit/methods.js';
import { entries, type FieldValue, message, sourceOperation } from './buildkit/messages.js';
import { type RawAnswer, type RawBuildkit, resultOf } from './buildkit/raw-client.js';

export type RawDoor = (client: RawBuildkit, evil: string, good: string) => Promise<RawAnswer>;

/** Ends a build that the client leads; without a result or an error in it dockerd ends as well. */
export const returning = '/moby.buildkit.v1.frontend.LLBBridge/Return';

export type Fields = readonly (readonly [number, FieldValue])[];

export const solve = (client: RawBuildkit, ...fields: Fields): Promise<RawAnswer> =>
  client.call(inspected.controlSolve, message([1, randomUUID()], ...fields));

export const image = (name: string, attributes: Readonly<Record<string, string>> = {}) =>
  resultOf(sourceOperation(`docker-image://${name}`, attributes));

/** A source that is the whole build. */
export const source =
  (
    identifier: (evil: string) => string,
    attributes: (evil: string) => Record<string, string> = () => ({}),
  ): RawDoor =>
  (client, evil) =>
    solve(client, [2, resultOf(sourceOperation(identifier(evil), attributes(evil)))]);

export const policy = (...rules: readonly Uint8Array[]) =>
  message([1, 1], ...rules.map((rule) => [2, rule] as const));

export const convert = (from: string, to: string) =>
  message([1, 2], [2, message([1, `docker-image://${from}`])], [3, message([1, `docker-image://${to}`])]);

/** Each is one build. */
export const rawDoors: readonly (readonly [string, RawDoor])[] = [
  ['an image', source((evil) => `docker-image://${evil}/team/base:1`)],
  [
    'an image, with a policy that allows everything',
    (client, evil) =>
      solve(
        client,
        [2, image(`${evil}/team/base:1`)],
        [12, policy(message([1, 0], [2, message([1, '^'], [2, 2])]))],
      ),
  ],
  [
    'a listed image that a policy turns into another',
    (client, evil, good) =>
      solve(
        client,
        [2, image(`${good}/team/base:1`)],
        [12, policy(convert(`${good}/team/base:1`, `${evil}/team/base:1`))],
      ),
  ],
  [
    'a gateway frontend',
    (client, evil) => solve(client, [6, 'gateway.v0'], ...entries(7, { source: `${evil}/team/base:1` })),
  ],
  [
    'a scanner of attestations',
    (client, evil, good) =>
      solve(
        client,
        [2, image(`${good}/team/base:1`)],
        ...entries(7, { 'attest:sbom': `generator=${evil}/team/base:1` }),
      ),
  ],
  [
    'a scanner by a build argument',
    (client, evil, good) =>
      solve(
        client,
        [2, image(`${good}/team/base:1`)],
        ...entries(7, { 'build-arg:BUILDKIT_ATTEST_SBOM': `"generator=${evil}/team/base:1"` }),
      ),
  ],
  [
    'a cache import by its old field',
    (client, evil, good) =>
      solve(client, [2, image(`${good}/team/base:1`)], [8, message([2, `${evil}/team/cache:1`])]),
  ],
  ['an address', source((evil) => `http://${evil}/v2/`)],
  ['a Git repository', source((evil) => `git://${evil}/team/repository`)],
  [
    'a Git repository of another name',
    source(
      () => 'git://good.example/team/repository',
      (evil) => ({ 'git.fullurl': `http://${evil}/team/repository` }),
    ),
  ],
  [
    'an image within a build that the client leads',
    async (client, evil) => {
      const build = randomUUID();
      const begun = client.call(inspected.controlSolve, message([1, build]));
      const answer = await untilBegun(() =>
        client.call(inspected.resolveImageConfig, message([1, `${evil}/team/base:1`]), build),
      );
      await client.call(returning, message([2, message([1, 1], [2, 'enough'])]), build);
      await begun;
      return answer;
    },
  ],
];

/** BuildKit takes calls of a build as soon as it has set it up. */
export async function untilBegun(call: () => Promise<RawAnswer>): Promise<RawAnswer> {
  for (;;) {
    const answer = await call();
    if (!/no such job|not found/.test(answer.text)) return answer;
  }
}
