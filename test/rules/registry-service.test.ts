import { registryService } from '../../src/rules/registry-service.js';
import { testRule } from './fixture.js';

testRule(registryService);
