import { hostNamespaces } from '../../src/rules/host-namespaces.js';
import { testRule } from './fixture.js';

testRule(hostNamespaces);
