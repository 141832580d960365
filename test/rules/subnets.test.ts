import { subnets } from '../../src/rules/subnets.js';
import { testRule } from './fixture.js';

testRule(subnets);
