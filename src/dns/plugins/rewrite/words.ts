// The words of a rule, whether they stand on one line or in a block.
import { CorefileError } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'

/** The words of a rule, one after the other. */
export class Words {
  readonly #directive: Directive
  readonly #words: Token[]
  constructor(directive: Directive) {
    this.#directive = directive
    this.#words = [...directive.args, ...(directive.block ?? []).flatMap(line => [line.word, ...line.args])]
  }
  get rest(): number { return this.#words.length }
  peek(): Token | undefined { return this.#words[0] }
  take(what: string): Token {
    const word = this.#words.shift()
    if (!word) throw new CorefileError(this.#directive.word, `few arguments: ${what} is missing`)
    return word
  }
  end(): void {
    if (this.#words[0]) throw new CorefileError(this.#words[0], `unexpected '${this.#words[0].text}'`)
  }
}
