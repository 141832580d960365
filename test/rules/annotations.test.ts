import { annotations } from '../../src/rules/annotations.js';
import { testRule } from './fixture.js';

testRule(annotations);
