import { joinedContainers } from '../../src/rules/joined-containers.js';
import { testRule } from './fixture.js';

testRule(joinedContainers);
