import { playAttacks } from './play.js';

playAttacks('28.5');
