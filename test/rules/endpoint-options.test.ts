import { endpointOptions } from '../../src/rules/endpoint-options.js';
import { testRule } from './fixture.js';

testRule(endpointOptions);
