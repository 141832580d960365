import { existingContainers } from '../../src/rules/existing-containers.js';
import { testRule } from './fixture.js';

testRule(existingContainers);
