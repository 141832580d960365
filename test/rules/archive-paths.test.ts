import { archivePaths } from '../../src/rules/archive-paths.js';
import { testRule } from './fixture.js';

testRule(archivePaths);
