import { registryPlugin } from '../../src/rules/registry-plugin.js';
import { testRule } from './fixture.js';

testRule(registryPlugin);
