// $(VAR) references in env, command and args: upstream's third_party/forked/golang/expansion. `$$` is
// one dollar sign, an unknown reference stays as written. Pure.

/** `lookup` gives a variable's value, or undefined to leave the reference as it is. */
export function expand(input: string, lookup: (name: string) => string | undefined): string {
  // One pass from the left, so that `$$(A)` is the literal `$(A)`; a lone `$` is kept.
  return input.replace(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) => {
    if (match === '$$') return '$'
    return lookup(name!) ?? match
  })
}
