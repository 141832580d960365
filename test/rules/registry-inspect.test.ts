import { registryInspect } from '../../src/rules/registry-inspect.js';
import { testRule } from './fixture.js';

testRule(registryInspect);
