import { runtime } from '../../src/rules/runtime.js';
import { testRule } from './fixture.js';

testRule(runtime);
