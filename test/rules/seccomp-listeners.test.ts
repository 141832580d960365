import { seccompListeners } from '../../src/rules/seccomp-listeners.js';
import { testRule } from './fixture.js';

testRule(seccompListeners);
