import { playAttacks } from './play.js';

playAttacks('20.10');
