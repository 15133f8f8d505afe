// Putting a cluster into a person's own kubeconfig and taking it out again; pure. Nothing of theirs
// is changed but the entries of our name and current-context.

interface Named { readonly name: string }
export interface Kubeconfig {
  clusters?: Named[]
  contexts?: Named[]
  users?: Named[]
  'current-context'?: string
  [other: string]: unknown
}

const lists = ['clusters', 'contexts', 'users'] as const

/** `theirs` with all of `ours`, whose context becomes the current one. */
export function merged(theirs: Kubeconfig | undefined, ours: Kubeconfig): Kubeconfig {
  const result: Kubeconfig = { apiVersion: 'v1', kind: 'Config', preferences: {}, ...theirs }
  for (const list of lists) {
    const names = new Set((ours[list] ?? []).map(entry => entry.name))
    result[list] = [...(theirs?.[list] ?? []).filter(entry => !names.has(entry.name)), ...(ours[list] ?? [])]
  }
  result['current-context'] = ours['current-context']!
  return result
}

/** `theirs` without the entries named `name`; the current context is unset when it was that one. */
export function without(theirs: Kubeconfig, name: string): Kubeconfig {
  const result: Kubeconfig = { ...theirs }
  for (const list of lists) if (theirs[list]) result[list] = theirs[list].filter(entry => entry.name !== name)
  if (theirs['current-context'] === name) result['current-context'] = ''
  return result
}

export const contextName = (cluster: string): string => cluster === 'default' ? 'fairway' : `fairway-${cluster}`
