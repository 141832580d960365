import { networkCreation } from '../../src/rules/network-creation.js';
import { testRule } from './fixture.js';

testRule(networkCreation);
