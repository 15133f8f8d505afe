// A parsed expression to the program of Pike's machine.
import { RegExpError, type Node } from './regexp-parse.ts'

export type Instruction =
  | { readonly op: 'char'; readonly has: (code: number) => boolean }
  | { readonly op: 'match' }
  | { op: 'jump'; to: number }
  | { op: 'split'; first: number; otherwise: number }
  | { readonly op: 'save'; readonly slot: number }
  | { readonly op: 'assert'; readonly holds: (text: string, at: number) => boolean }

/** Counted repetitions multiply: beyond this an expression is refused. */
const longest = 5000

export function compileNode(node: Node): Instruction[] {
  const out: Instruction[] = []
  const push = <T extends Instruction>(instruction: T): T => {
    if (out.length >= longest) throw new RegExpError('the expression is too large')
    out.push(instruction)
    return instruction
  }
  const split = (lazy: boolean) => {
    const fork = push({ op: 'split', first: out.length + 1, otherwise: 0 })
    /** Where the way without the body leads. */
    return (to: number) => { if (lazy) { fork.otherwise = fork.first; fork.first = to } else fork.otherwise = to }
  }
  const emit = (node: Node): void => {
    switch (node.kind) {
      case 'empty': return
      case 'char': push({ op: 'char', has: node.has }); return
      case 'assert': push({ op: 'assert', holds: node.holds }); return
      case 'group':
        push({ op: 'save', slot: 2 * node.number })
        emit(node.body)
        push({ op: 'save', slot: 2 * node.number + 1 })
        return
      case 'sequence': for (const part of node.parts) emit(part); return
      case 'choice': choice(node.parts); return
      case 'repeat': repeat(node)
    }
  }
  const choice = (parts: readonly Node[]): void => {
    const ends: { op: 'jump'; to: number }[] = []
    for (const [i, part] of parts.entries()) {
      if (i === parts.length - 1) { emit(part); break }
      const skip = split(false)
      emit(part)
      ends.push(push({ op: 'jump', to: 0 }))
      skip(out.length)
    }
    for (const end of ends) end.to = out.length
  }
  const repeat = ({ body, min, max, lazy }: Extract<Node, { kind: 'repeat' }>): void => {
    for (let n = 0; n < min; n++) emit(body)
    if (max === Infinity) {
      const start = out.length, skip = split(lazy)
      emit(body)
      push({ op: 'jump', to: start })
      skip(out.length)
      return
    }
    const skips: ((to: number) => void)[] = []
    for (let n = min; n < max; n++) {
      skips.push(split(lazy))
      emit(body)
    }
    for (const skip of skips) skip(out.length)
  }
  emit(node)
  push({ op: 'match' })
  return out
}
