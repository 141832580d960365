import { sysctls } from '../../src/rules/sysctls.js';
import { testRule } from './fixture.js';

testRule(sysctls);
