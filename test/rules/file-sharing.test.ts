import { fileSharing } from '../../src/rules/file-sharing.js';
import { testRule } from './fixture.js';

testRule(fileSharing);
