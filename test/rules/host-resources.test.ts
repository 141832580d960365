import { hostResources } from '../../src/rules/host-resources.js';
import { testRule } from './fixture.js';

testRule(hostResources);
