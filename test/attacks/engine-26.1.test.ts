import { playAttacks } from './play.js';

playAttacks('26.1');
