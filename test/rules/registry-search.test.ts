import { registrySearch } from '../../src/rules/registry-search.js';
import { testRule } from './fixture.js';

testRule(registrySearch);
