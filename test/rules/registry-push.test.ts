import { registryPush } from '../../src/rules/registry-push.js';
import { testRule } from './fixture.js';

testRule(registryPush);
