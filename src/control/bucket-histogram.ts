/**
 * A histogram whose observations cost an addition each: prom-client's own hashes the labels of every one, which is a
 * good part of a small request's time. It looks like prom-client's wherever somebody reads it.
 */
import { Histogram } from 'prom-client';

export interface BucketHistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper bounds, in ascending order. */
  readonly buckets: readonly number[];
}

type Values = Awaited<ReturnType<Histogram['get']>>['values'];

/** What was observed under one set of labels. */
class Series {
  readonly #bounds: readonly number[];
  /** One for each bound, and one for what is above the last. */
  readonly #counts: Float64Array;
  readonly #labels: Readonly<Record<string, string>>;
  #sum = 0;

  constructor(bounds: readonly number[], labels: Readonly<Record<string, string>>) {
    this.#bounds = bounds;
    this.#labels = labels;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  /** The values of the exposition format: buckets count what is at most their bound. */
  values(name: string): Values {
    let total = 0;
    const labels = this.#labels;
    const buckets = [...this.#bounds, '+Inf'].map((le, at) => {
      total += this.#counts[at] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: { ...labels }, value: this.#sum },
      { metricName: `${name}_count`, labels: { ...labels }, value: total },
    ];
  }
}

export class BucketHistogram extends Histogram {
  readonly #options: BucketHistogramOptions;
  readonly #series: Series[] = [];

  constructor(options: BucketHistogramOptions) {
    super({ ...options, buckets: [...options.buckets], registers: [] });
    this.#options = options;
  }

  /** A new series; to be asked for once for each set of labels. */
  series(labels: Readonly<Record<string, string>>): { observe(value: number): void } {
    const made = new Series(this.#options.buckets, labels);
    this.#series.push(made);
    return made;
  }

  /** What prom-client asks a metric for, in `get` and where it writes text; it isn't in its types. */
  getForPromString() {
    const { name, help } = this.#options;
    const values = this.#series.flatMap((one) => one.values(name));
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  }
}
