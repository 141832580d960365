import { imageImport } from '../../src/rules/image-import.js';
import { testRule } from './fixture.js';

testRule(imageImport);
