/**
 * The image that a request names, in full and as the engine reads it, for the audit record.
 */
import {
  formatReference,
  parsePullReference,
  parsePushReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../registry/reference.js';
import { textAt } from '../rules/json-pointer.js';
import type { JudgedRequest } from '../rules/rule.js';

/** `docker.io/library/nginx:latest`; what isn't a reference (an id) stays as it is. `undefined` where none is named. */
export function namedImage(request: JudgedRequest): string | undefined {
  const tag = request.query.get('tag')?.[0] ?? '';
  switch (request.route.name) {
    case 'container.create': {
      const image = textAt(request.body, '/Image');
      return image === '' ? undefined : normal(image, () => parseReference(image));
    }
    case 'image.pull': {
      const image = request.query.get('fromImage')?.[0] ?? '';
      return image === '' ? undefined : normal(image, () => parsePullReference(image, tag));
    }
    case 'image.push': {
      const image = request.params['name'] ?? '';
      return normal(image, () => parsePushReference(image, tag));
    }
    default:
      return undefined;
  }
}

function normal(text: string, parse: () => Reference): string {
  try {
    return formatReference(withDefaultTag(parse()));
  } catch {
    return text;
  }
}
