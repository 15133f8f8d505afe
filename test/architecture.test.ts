// The architecture as a test: which folder may import which, which files may touch the outside
// world, and that the import graph has no cycle. The prose is in ARCHITECTURE.md. Each rule is also
// tried on a planted violation, because a guard that sees nothing is worse than none.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { test } from 'node:test'

const base = ['lib', 'net', 'api', 'client', 'host']
const components = ['apiserver', 'controllers', 'scheduler', 'kubelet', 'proxy', 'dns', 'agnhost', 'cli']
/** Folder to the folders it may import, besides itself. */
const may: Record<string, string[]> = {
  lib: [], net: ['lib'], api: ['lib', 'net'], client: ['lib', 'net', 'api'], host: ['lib', 'net'],
  ...Object.fromEntries(components.map(name => [name, base])),
  up: [...base, ...components.filter(name => name !== 'cli')],
  'main.ts': [...components, 'up', 'lib'],
}
// The command line starts and stops clusters: `up` is to it what the API is to the others.
may.cli!.push('up')

const isEdge = (file: string) => /(^|\/)(main|server|apply)\.ts$|\.test\.ts$|^(client|host|up)\//.test(file)
const effectImport = /^(node:(child_process|fs|fs\/promises|net|tls|dgram|https?|http2|dns|worker_threads|sqlite|ffi|timers.*)$|#(host|client)\/|#lib\/http\.ts)/
const effectCall = /(?<![.#\w])(Date\.now\(|new Date\(\)|Math\.random\(|performance\.now\(|setTimeout\(|setInterval\(|setImmediate\(|process\.(env|exit|kill|stdout|stderr|stdin)\b|(?<!async )fetch\()/

type Tree = ReadonlyMap<string, string> // file below src/ -> text

const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
const importPattern = /(?:\bfrom\s*|\bimport\s*\(\s*|^import\s+)['"]([^'"]+)['"]/gm
const importsOf = (text: string) => [...withoutComments(text).matchAll(importPattern)].map(match => match[1]!)
const folderOf = (file: string) => file.split('/')[0]!
const resolve = (from: string, to: string) =>
  to.startsWith('#') ? to.slice(1) : to.startsWith('.') ? posix.join(dirname(from), to) : undefined
const sources = (tree: Tree) => [...tree].filter(([file]) => file.endsWith('.ts'))

function directionProblems(tree: Tree): string[] {
  return sources(tree).flatMap(([file, text]) => importsOf(text).flatMap(spec => {
    const target = resolve(file, spec)
    if (!target || folderOf(target) === folderOf(file)) return []
    if (!spec.startsWith('#')) return [`${file}: write '#${target}', not '${spec}'`]
    return may[folderOf(file)]?.includes(folderOf(target)) ? [] : [`${file} may not import ${target}`]
  }))
}

function purityProblems(tree: Tree): string[] {
  return sources(tree).filter(([file]) => !isEdge(file)).flatMap(([file, text]) => [
    ...importsOf(text).filter(spec => effectImport.test(spec) && !isTypeOnly(text, spec)).map(spec => `${file} is pure and may not import ${spec}`),
    ...(file.startsWith('lib/') ? [] : [...withoutComments(text).matchAll(new RegExp(effectCall, 'g'))].map(match => `${file} is pure and may not use ${match[0]}`)),
  ])
}
const isTypeOnly = (text: string, spec: string) =>
  new RegExp(`import type [^'"]*['"]${spec.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}['"]`).test(text) || new RegExp(`import\\(['"]${spec}['"]\\)\\.`).test(text)

// 33 ms of CPU and 15 MB in every process: see lib/http.ts.
const httpProblems = (tree: Tree): string[] => sources(tree)
  .filter(([file, text]) => !file.endsWith('.test.ts') && importsOf(text).includes('node:http') && !isTypeOnly(text, 'node:http'))
  .map(([file]) => `${file}: take #lib/http.ts, which does not load undici, instead of node:http`)

function cycleProblems(tree: Tree): string[] {
  const done = new Set<string>(), problems: string[] = []
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) { problems.push(`import cycle: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}`); return }
    if (done.has(file)) return
    for (const spec of importsOf(tree.get(file) ?? '')) { const next = resolve(file, spec); if (next) visit(next, [...path, file]) }
    done.add(file)
  }
  for (const [file] of sources(tree)) visit(file, [])
  return problems
}

function readmeProblems(tree: Tree): string[] {
  const folders = new Set(sources(tree).map(([file]) => file).filter(file => file.includes('/')).map(folderOf))
  return [...folders].filter(folder => !tree.has(`${folder}/README.md`)).map(folder => `${folder}/ has no README.md`)
}

function allProblems(tree: Tree): string[] {
  if (sources(tree).length === 0) return ['no source files found']
  return [...directionProblems(tree), ...purityProblems(tree), ...cycleProblems(tree), ...readmeProblems(tree), ...httpProblems(tree)]
}

function readTree(): Tree {
  const src = join(import.meta.dirname, '../src')
  if (!existsSync(src)) return new Map()
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(file => /\.ts$|README\.md$/.test(file))
  return new Map(files.map(file => [file, readFileSync(join(src, file), 'utf8')]))
}

test('the source tree keeps the architecture', () => {
  assert.deepEqual(allProblems(readTree()), [])
})

const planted: Record<string, { files: Record<string, string>; problem: RegExp }> = {
  'an empty tree': { files: {}, problem: /no source files/ },
  'a sideways import': { files: { 'proxy/rules.ts': "import { x } from '#kubelet/pods.ts'" }, problem: /proxy\/rules\.ts may not import kubelet/ },
  'an upward import': { files: { 'lib/a.ts': "import { x } from '#client/client.ts'" }, problem: /lib\/a\.ts may not import client/ },
  'a type-only sideways import': { files: { 'proxy/rules.ts': "import type { X } from '#scheduler/fit.ts'" }, problem: /may not import scheduler/ },
  'a dynamic sideways import': { files: { 'proxy/main.ts': "await import('#apiserver/server.ts')" }, problem: /may not import apiserver/ },
  'a re-export': { files: { 'client/x.ts': "export { x } from '#host/run.ts'" }, problem: /may not import host/ },
  'a relative border crossing': { files: { 'proxy/rules.ts': "import { x } from '../lib/errors.ts'" }, problem: /write '#lib\/errors.ts'/ },
  'an effect import in a pure file': { files: { 'proxy/rules.ts': "import { spawn } from 'node:child_process'" }, problem: /is pure and may not import node:child_process/ },
  'a clock in a pure file': { files: { 'proxy/rules.ts': 'export const x = () => Date.now()' }, problem: /may not use Date\.now/ },
  'the global fetch': { files: { 'proxy/rules.ts': "await fetch('http://x')" }, problem: /may not use fetch/ },
  'a cycle': { files: { 'lib/a.ts': "import './b.ts'", 'lib/b.ts': "import './a.ts'" }, problem: /import cycle: lib\/a\.ts -> lib\/b\.ts -> lib\/a\.ts/ },
  'the heavy node:http': { files: { 'proxy/server.ts': "import { createServer } from 'node:http'" }, problem: /take #lib\/http\.ts/ },
  'a folder without README': { files: { 'net/ip.ts': '' }, problem: /net\/ has no README\.md/ },
}
for (const [name, { files, problem }] of Object.entries(planted)) {
  test(`the guard sees ${name}`, () => {
    assert.match(allProblems(new Map(Object.entries(files))).join('\n'), problem)
  })
}
