import { userNamespace } from '../../src/rules/user-namespace.js';
import { testRule } from './fixture.js';

testRule(userNamespace);
