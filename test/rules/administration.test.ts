import { administration } from '../../src/rules/administration.js';
import { testRule } from './fixture.js';

testRule(administration);
