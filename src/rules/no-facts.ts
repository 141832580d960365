/** What is known where nothing was looked up. */
import type { Facts } from './rule.js';

/** Facts for requests whose rules ask for none. One object, by which those requests are told. */
export const noFacts: Facts = {
  container: () => undefined,
  image: () => undefined,
  volume: () => undefined,
  network: () => undefined,
  exec: () => undefined,
  path: () => undefined,
  hostRoutes: [],
};
