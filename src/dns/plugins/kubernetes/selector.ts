// Whether a text is a label selector (labels.Parse of apimachinery). The API server does the
// selecting; this is so that a mistake is found when the Corefile is read.

const key = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/
const value = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/

/** What is wrong with it; undefined: nothing. */
export function selectorProblem(text: string): string | undefined {
  for (const requirement of text.split(/,(?![^(]*\))/)) {
    const problem = requirementProblem(requirement.trim())
    if (problem) return problem
  }
  return undefined
}

function requirementProblem(text: string): string | undefined {
  const set = /^(\S+)\s+(in|notin)\s*\((.*)\)$/.exec(text)
  if (set) return keyProblem(set[1]!) ?? set[3]!.split(',').map(part => valueProblem(part.trim())).find(problem => problem)
  const equal = /^([^=!<>\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(text)
  if (equal) return keyProblem(equal[1]!) ?? valueProblem(equal[3]!)
  const greater = /^([^=!<>\s]+)\s*[<>]\s*(\d+)$/.exec(text)
  return keyProblem(greater ? greater[1]! : text.replace(/^!\s*/, ''))
}
const keyProblem = (text: string) => key.test(text) ? undefined : `'${text}' is no label key`
const valueProblem = (text: string) => value.test(text) ? undefined : `'${text}' is no label value`
