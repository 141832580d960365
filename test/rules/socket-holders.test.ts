import { socketHolders } from '../../src/rules/socket-holders.js';
import { testRule } from './fixture.js';

testRule(socketHolders);
