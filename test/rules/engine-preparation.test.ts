import { enginePreparation } from '../../src/rules/engine-preparation.js';
import { testRule } from './fixture.js';

testRule(enginePreparation);
