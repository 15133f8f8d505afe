// Further processes in a container, terminals, attach, and how containers are stopped.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isolated } from '#host/isolated.ts'
import { startTime } from '#host/process.ts'
import type { ExecSession } from '../../cri.ts'
import { Machine } from '../testing/apply.ts'

/** Collects a stream, and waits for a text in it. */
function reader(session: ExecSession, name: 'stdout' | 'stderr' = 'stdout') {
  let text = ''
  session[name]!.on('data', (chunk: Buffer) => { text += chunk.toString() })
  return {
    all: () => text,
    async until(pattern: RegExp) {
      for (let i = 0; i < 500 && !pattern.test(text); i++) await sleep(10)
      assert.match(text, pattern)
    },
  }
}

isolated(import.meta.url, ['root', 'user'], way => {
  const machine = new Machine(way)
  before(() => machine.start())
  after(() => machine.stop())

  test('exit statuses, output of both kinds, standard input', async () => {
    const { runtime, id } = await machine.pod()
    const session = await runtime.exec(id, { command: ['sh', '-c', 'cat; echo err >&2; exit 42'], tty: false, stdin: true })
    const [out, errors] = [reader(session), reader(session, 'stderr')]
    session.stdin!.end('through\n')
    assert.equal(await session.exitCode, 42)
    await out.until(/^through\n$/)
    await errors.until(/^err\n$/)
    assert.equal((await runtime.execSync(id, ['sh', '-c', 'kill -9 $$'], 5000)).exitCode, 137)
    assert.equal((await runtime.execSync(id, ['sh', '-c', 'kill -15 $$'], 5000)).exitCode, 143)
  })

  test('a command that cannot be run is refused in runc\'s words', async () => {
    const { runtime, id } = await machine.pod()
    const run = (...command: string[]) => runtime.exec(id, { command, tty: false, stdin: false })
    await assert.rejects(run('foo', '-x'), /^Error: OCI runtime exec failed: exec failed: unable to start container process: exec: "foo": executable file not found in \$PATH: unknown$/)
    await assert.rejects(run('/etc/plain'), /exec: "\/etc\/plain": permission denied/)
    await assert.rejects(run('./none'), /stat \.\/none: no such file or directory/)
    await assert.rejects(runtime.exec(id, { command: ['foo'], tty: true, stdin: true }), /executable file not found/)
    await assert.rejects(run(), /at least one command/)
  })

  test('execSync: output is bounded, a command that takes too long is killed', async () => {
    const { runtime, id, sh } = await machine.pod()
    assert.equal((await runtime.execSync(id, ['sh', '-c', 'head -c 1000000 /dev/zero'], 5000)).output.length, 10240)
    const began = Date.now()
    await assert.rejects(runtime.execSync(id, ['sleep', '987'], 200), /timed out.*within 200 ms/)
    assert.ok(Date.now() - began < 1500)
    await sleep(50)
    assert.doesNotMatch(await sh('cat /proc/[0-9]*/cmdline | tr "\\0" " "'), /987/)
    assert.equal((await runtime.execSync(id, ['sh', '-c', 'sleep 5 & echo done'], 3000)).output, 'done\n')
  })

  test('a terminal: size, resize, interrupt, exit status', async () => {
    const { runtime, id } = await machine.pod()
    const session = await runtime.exec(id, { command: ['sh', '-i'], tty: true, stdin: true })
    const screen = reader(session)
    assert.equal(session.stderr, undefined)
    session.resize(111, 33)
    session.stdin!.write('tty; stty size\n')
    await screen.until(/\/dev\/pts\/0\r\n33 111\r\n/)
    session.resize(90, 20)
    session.stdin!.write('stty size; echo $TERM; sleep 100; echo after\n')
    await screen.until(/20 90\r\nxterm\r\n/)
    await sleep(100)
    session.stdin!.write('\x03')
    session.stdin!.write('exit 7\n')
    assert.equal(await session.exitCode, 7)
    assert.doesNotMatch(screen.all(), /\nafter/)
  })

  test('a terminal takes more input than its buffer holds', async () => {
    const { runtime, id } = await machine.pod()
    const session = await runtime.exec(id, { command: ['sh', '-c', 'stty raw -echo; echo go; head -c 300000 | wc -c'], tty: true, stdin: true })
    const screen = reader(session)
    await screen.until(/go/)
    session.stdin!.write('x'.repeat(300_000))
    await screen.until(/300000/)
    assert.equal(await session.exitCode, 0)
  })

  test('a container with a terminal, and attach to it', async () => {
    const { runtime, id } = await machine.pod({ tty: true, stdin: true, command: ['sh', '-i'] })
    const session = await runtime.attach(id, { stdin: true })
    const screen = reader(session)
    session.stdin!.write('tty; echo $((6*7))\n')
    await screen.until(/\/dev\/pts\/0\r\n42\r\n/)
    session.stdin!.write('exit 5\n')
    assert.equal(await session.exitCode, 5)
  })

  test('attach without a terminal: several see the output, leaving does not stop it', async () => {
    const { runtime, id, log, end } = await machine.pod({ stdin: true, script: 'while read line; do echo "got $line"; done; exit 4' })
    const [a, b] = await Promise.all([runtime.attach(id, { stdin: true }), runtime.attach(id, { stdin: false })])
    const [readA, readB] = [reader(a), reader(b)]
    a.stdin!.write('one\n')
    await readA.until(/got one/)
    await readB.until(/got one/)
    b.kill()
    a.stdin!.end('two\n')
    assert.equal(await a.exitCode, 4)
    assert.match((await end()).text, /stdout F got one\nstdout F got two\n/)
    assert.ok(log)
  })

  test('stop: pid 1 with a handler ends itself, one without is killed after the grace period', async () => {
    const handler = await machine.pod({ script: 'trap "echo bye; exit 9" TERM; echo up; while :; do sleep 0.05; done' })
    const none = await machine.pod()
    await sleep(100)
    await handler.runtime.stopContainer(handler.id, 10)
    const end = await handler.end()
    assert.equal(`${end.exitCode} ${end.reason}`, '9 Error')
    assert.match(end.text, /bye/)
    const began = Date.now()
    await none.runtime.stopContainer(none.id, 1)
    assert.ok(Date.now() - began >= 990, 'pid 1 does not get a signal that it does not handle')
    assert.equal((await none.end()).exitCode, 137)
    await none.runtime.stopContainer(none.id, 1)
    await assert.rejects(none.runtime.exec(none.id, { command: ['true'], tty: false, stdin: false }), /not running/)
  })

  test('the end of pid 1 is the end of all its processes and of all execs', async () => {
    const { runtime, id } = await machine.pod({ script: 'sleep 1001 & setsid sleep 1002 & wait' })
    const session = await runtime.exec(id, { command: ['sleep', '1003'], tty: false, stdin: false })
    const { pid } = runtime.listContainers().find(each => each.id === id)!
    assert.ok(startTime(pid!))
    await runtime.stopContainer(id, 0)
    assert.equal(await session.exitCode, 137)
    assert.equal(startTime(pid!), undefined)
    const lines = readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(name => { try { return readFileSync(`/proc/${name}/cmdline`, 'latin1') } catch { return '' } })
    assert.deepEqual(lines.filter(line => /sleep.100[123]/.test(line)), [])
  })

  test('a container that ended with its output unread loses none of it', async () => {
    const { text, exitCode } = await machine.run('i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done; head -c 40000 /dev/zero | tr "\\0" x; echo; printf end')
    assert.equal(exitCode, 0)
    const lines = text.split('\n')
    assert.equal(lines.filter(line => /^stdout F line \d+$/.test(line)).length, 20000)
    assert.deepEqual(lines.filter(line => line.includes('xxx')).map(line => `${line.slice(0, 9)}${line.length - 9}`), ['stdout P 16384', 'stdout P 16384', 'stdout F 7232'])
    assert.equal(lines.at(-2), 'stdout P end')
  })
})
