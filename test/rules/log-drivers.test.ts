import { logDrivers } from '../../src/rules/log-drivers.js';
import { testRule } from './fixture.js';

testRule(logDrivers);
