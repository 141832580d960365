import { runtimeSwitches } from '../../src/rules/runtime-switches.js';
import { testRule } from './fixture.js';

testRule(runtimeSwitches);
