import { registryLogin } from '../../src/rules/registry-login.js';
import { testRule } from './fixture.js';

testRule(registryLogin);
