import { workingDirectories } from '../../src/rules/working-directories.js';
import { testRule } from './fixture.js';

testRule(workingDirectories);
