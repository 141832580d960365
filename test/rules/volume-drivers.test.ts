import { volumeDrivers } from '../../src/rules/volume-drivers.js';
import { testRule } from './fixture.js';

testRule(volumeDrivers);
