/**
 * The rule `working-directories`: a working directory below /proc can name a descriptor that leaked into the runtime,
 * and with it the host's file system (CVE-2024-21626, `/proc/self/fd/N`). An image's own counts where the request
 * names none.
 */
import { posix } from 'node:path';
import { placesOf } from './body-places.js';
import { findingsOf } from './finding.js';
import { textAt } from './json-pointer.js';
import type { Finding, JudgedRequest, Need, Rule } from './rule.js';

const { deny } = findingsOf('working-directories');

export const workingDirectories: Rule = {
  id: 'working-directories',
  summary:
    'Working directories below `/proc`, `/dev/fd` and `/sys` are refused, for containers, services, execs and the images that they are made of.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'exec.create', 'image.commit', 'service.create', 'service.update'],
  needs: (request) => {
    const ref = decidingImage(request);
    return ref === undefined ? [] : [{ kind: 'image', ref } satisfies Need];
  },
  judge: (request, facts) => {
    const { workingDirectory, image = '' } = placesOf(request);
    const ref = decidingImage(request);
    if (ref !== undefined) return judgeFolder(image, facts.image(ref)?.workingDirectory ?? '');
    return judgeFolder(workingDirectory, textAt(request.body, workingDirectory));
  },
};

/** The image whose working directory the container gets; none where the request names a directory itself. */
function decidingImage(request: JudgedRequest): string | undefined {
  const { workingDirectory, image } = placesOf(request);
  if (image === undefined || textAt(request.body, workingDirectory) !== '') return undefined;
  const ref = textAt(request.body, image);
  return ref === '' ? undefined : ref;
}

function judgeFolder(field: string, folder: string): readonly Finding[] {
  if (folder === '' || !/^\/(proc|sys|dev\/fd)(\/|$)/.test(posix.resolve('/', folder))) return [];
  const reason = `the working directory ${folder} could lead out of the container`;
  return [deny(field, reason, 'Use another one and cd there.')];
}
