import { services } from '../../src/rules/services.js';
import { testRule } from './fixture.js';

testRule(services);
