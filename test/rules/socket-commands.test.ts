import { socketCommands } from '../../src/rules/socket-commands.js';
import { testRule } from './fixture.js';

testRule(socketCommands);
