import { trustedNames } from '../../src/rules/trusted-names.js';
import { testRule } from './fixture.js';

testRule(trustedNames);
