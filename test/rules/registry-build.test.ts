import { registryBuild } from '../../src/rules/registry-build.js';
import { testRule } from './fixture.js';

testRule(registryBuild);
