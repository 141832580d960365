/**
 * What texts of clients and of the engine were found to mean, where that follows from the text alone. It must never
 * grow without a limit: nobody's texts may fill the memory.
 */
const mostTexts = 256;

export class TextMemory<Meaning> {
  readonly #known = new Map<string, Meaning>();
  readonly #longest: number;

  /** @param longest texts with more characters aren't kept */
  constructor(longest: number) {
    this.#longest = longest;
  }

  get(text: string): Meaning | undefined {
    return this.#known.get(text);
  }

  keep(text: string, meaning: Meaning): void {
    if (text.length > this.#longest) return;
    if (this.#known.size >= mostTexts) this.#known.clear();
    this.#known.set(text, meaning);
  }
}
