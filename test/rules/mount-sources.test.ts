import { mountSources } from '../../src/rules/mount-sources.js';
import { testRule } from './fixture.js';

testRule(mountSources);
