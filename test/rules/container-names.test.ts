import { containerNames } from '../../src/rules/container-names.js';
import { testRule } from './fixture.js';

testRule(containerNames);
