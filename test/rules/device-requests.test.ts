import { deviceRequests } from '../../src/rules/device-requests.js';
import { testRule } from './fixture.js';

testRule(deviceRequests);
