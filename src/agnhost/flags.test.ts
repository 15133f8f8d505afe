import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bool, duration, int, parseFlags, string } from './flags.ts'

const flags = { port: int(80), name: string(''), http: bool(true), timeout: duration(0) }

const good: [argv: string[], values: object, words?: string[]][] = [
  [[], { port: 80, name: '', http: true, timeout: 0 }],
  [['--port=9376', '--http=false'], { port: 9376, name: '', http: false, timeout: 0 }],
  [['--port', '1', '--name', '--x', 'host:1'], { port: 1, name: '--x', http: true, timeout: 0 }, ['host:1']],
  [['-v=2', '--logtostderr', '--timeout', '1m1.5s'], { port: 80, name: '', http: true, timeout: 61_500 }],
  [['--name', 'a', '--', '--port=1'], { port: 80, name: 'a', http: true, timeout: 0 }, ['--port=1']],
]
for (const [argv, values, words = []] of good) {
  test(`reads ${argv.join(' ') || 'nothing'}`, () => assert.deepEqual(parseFlags(argv, flags), { values, words }))
}

const bad: [argv: string[], message: RegExp][] = [
  [['--prot=1'], /unknown flag: --prot/], [['--port'], /flag needs an argument: --port/], [['--port=x'], /invalid argument "x" for "--port" flag/],
  [['--timeout=5'], /takes a duration/], [['--http=maybe'], /true or false/], [['--constructor=1'], /unknown flag/],
]
for (const [argv, message] of bad) test(`refuses ${argv.join(' ')}`, () => assert.throws(() => parseFlags(argv, flags), message))
