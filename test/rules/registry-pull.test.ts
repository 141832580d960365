import { registryPull } from '../../src/rules/registry-pull.js';
import { testRule } from './fixture.js';

testRule(registryPull);
