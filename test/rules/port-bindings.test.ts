import { portBindings } from '../../src/rules/port-bindings.js';
import { testRule } from './fixture.js';

testRule(portBindings);
