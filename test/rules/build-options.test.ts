import { buildOptions } from '../../src/rules/build-options.js';
import { testRule } from './fixture.js';

testRule(buildOptions);
