// YAML as Kubernetes reads it: YAML 1.1's booleans are not wanted, duplicate keys are errors, and
// aliases are bounded (a "billion laughs" document is refused). JSON is a subset.
import { parseAllDocuments, stringify, YAMLParseError } from 'yaml'

/** Every non-empty document of a YAML or JSON text; a syntax error names `file:line:column`. */
export function parseYamlDocuments(text: string, file = 'input'): unknown[] {
  const values: unknown[] = []
  for (const document of parseAllDocuments(text, { uniqueKeys: true, version: '1.2' })) {
    if (!('errors' in document)) continue
    const problem = document.errors[0]
    if (problem instanceof YAMLParseError) {
      const at = problem.linePos?.[0]
      throw new SyntaxError(`${file}:${at?.line ?? 1}:${at?.col ?? 1}: ${problem.message.split('\n')[0]}`)
    }
    const value: unknown = document.toJS({ maxAliasCount: 100 })
    if (value !== null && value !== undefined) values.push(value)
  }
  return values
}

/** The one document of a text; more than one is an error. */
export function parseYaml(text: string, file = 'input'): unknown {
  const values = parseYamlDocuments(text, file)
  if (values.length > 1) throw new SyntaxError(`${file}: expected one YAML document, found ${values.length}`)
  return values[0]
}

export const toYaml = (value: unknown): string => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })
