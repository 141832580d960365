import { remoteAddresses } from '../../src/rules/remote-addresses.js';
import { testRule } from './fixture.js';

testRule(remoteAddresses);
