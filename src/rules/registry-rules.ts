/** The rules about registries and about images that don't come from one, in the order in which they are reported. */
import { imageImport } from './image-import.js';
import { registryBuild } from './registry-build.js';
import { registryInspect } from './registry-inspect.js';
import { registryLogin } from './registry-login.js';
import { registryPlugin } from './registry-plugin.js';
import { registryPull } from './registry-pull.js';
import { registryPush } from './registry-push.js';
import { registrySearch } from './registry-search.js';
import { registryService } from './registry-service.js';
import type { Rule } from './rule.js';

export const registryRules: readonly Rule[] = [
  registryPull,
  registryPush,
  registryInspect,
  registryLogin,
  registrySearch,
  registryPlugin,
  registryService,
  registryBuild,
  imageImport,
];
