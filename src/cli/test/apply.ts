// `fairway test`: every test of the project with node:test, and a last line that counts them.
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { UserError } from '#lib/errors.ts'
import { programRoot } from '#up/paths.ts'
import { parseFlags } from '../flags.ts'

/** A file that hangs is ended after this long and counts as failed. */
const fileTimeoutMs = 10 * 60_000

export async function test(argv: string[]): Promise<number> {
  const { words } = parseFlags('test', argv, {})
  const files = testFiles(words)
  if (!files.length) throw new UserError(`no test file has ${words.map(word => `"${word}"`).join(' or ')} in its name`)
  if (!existsSync(join(programRoot, 'node_modules/typescript'))) throw new UserError(`the test tools are missing: run "npm ci" in ${programRoot}`)
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const failures: string[] = []
  const stream = run({ files, concurrency: 2, timeout: fileTimeoutMs, execArgv: ['--disable-warning=ExperimentalWarning'] })
  stream.on('test:pass', event => {
    if (event.details.type === 'suite') return
    if (event.skip !== undefined) counts.skipped++
    else counts.passed++
  })
  stream.on('test:fail', event => {
    if (event.details.type === 'suite' && (event.details.error as { failureType?: string }).failureType === 'subtestsFailed') return
    counts.failed++
    failures.push(`${event.file?.replace(`${programRoot}/`, '') ?? ''}: ${event.name}`)
  })
  stream.compose(new spec()).pipe(process.stdout)
  await new Promise(resolve => stream.once('close', resolve).once('end', resolve))
  await new Promise(resolve => setImmediate(resolve)) // the reporter's last lines first
  if (failures.length) process.stdout.write(`\nfailed:\n${failures.map(line => `  ${line}`).join('\n')}\n`)
  process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed${counts.skipped ? `, ${counts.skipped} skipped` : ''}\n`)
  return counts.failed || !counts.passed ? 1 : 0
}

/** Test files whose path holds any of the words; all without words. */
function testFiles(words: readonly string[]): string[] {
  return globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: programRoot })
    .filter(file => words.length === 0 || words.some(word => file.includes(word))).sort().map(file => join(programRoot, file))
}
