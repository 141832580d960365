import { processLists } from '../../src/rules/process-lists.js';
import { testRule } from './fixture.js';

testRule(processLists);
