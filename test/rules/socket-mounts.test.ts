import { socketMounts } from '../../src/rules/socket-mounts.js';
import { testRule } from './fixture.js';

testRule(socketMounts);
