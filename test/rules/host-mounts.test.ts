import { hostMounts } from '../../src/rules/host-mounts.js';
import { testRule } from './fixture.js';

testRule(hostMounts);
