import { otherCallers } from '../../src/rules/other-callers.js';
import { testRule } from './fixture.js';

testRule(otherCallers);
