import { devicePaths } from '../../src/rules/device-paths.js';
import { testRule } from './fixture.js';

testRule(devicePaths);
