import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, Probe } from '#api/core/v1.ts'
import { handClock } from '#client/handclock.ts'
import { afterProbe, initialState, type ProbeKind } from './machine.ts'
import { Prober } from './prober.ts'

/** `ok`/`no` outcomes in, one letter a result out: s(uccess), f(ailure), u(nknown). */
function results(kind: ProbeKind, probe: Probe, outcomes: string): string {
  let state = initialState(kind)
  return [...outcomes].map(outcome => { state = afterProbe(state, outcome === '+', probe); return state.result[0] }).join('')
}
for (const [kind, probe, outcomes, expected] of [
  ['readiness', {}, '+', 's'], ['readiness', {}, '-', 'f'], ['readiness', { successThreshold: 2 }, '+-++', 'fffs'],
  ['readiness', {}, '+--+---', 'ssssssf'], ['readiness', { failureThreshold: 1 }, '+-+', 'sfs'],
  ['liveness', {}, '---', 'ssf'], ['liveness', {}, '--+---', 'sssssf'],
  ['startup', { failureThreshold: 2 }, '-+', 'us'], ['startup', { failureThreshold: 2 }, '--', 'uf'],
] as [ProbeKind, Probe, string, string][]) test(`${kind} ${JSON.stringify(probe)} ${outcomes}`, () => assert.equal(results(kind, probe, outcomes), expected))

/** A prober whose attempts answer as told, on a clock that the test moves. */
function harness(spec: Partial<Container>) {
  const clock = handClock()
  const abort = new AbortController()
  const answers: Partial<Record<ProbeKind, boolean>> = {}
  const attempts: string[] = [], unhealthy: string[] = []
  const prober = new Prober({
    spec: { name: 'c', ...spec }, startedAt: 0, clock, signal: abort.signal, changed() {},
    attempt: async (_, kind) => { attempts.push(`${kind}@${clock.now()}`); return { success: answers[kind] ?? false, output: 'no' } },
    unhealthy: kind => unhealthy.push(`${kind}@${clock.now()}`),
  })
  const done = prober.run()
  const pass = async (ms: number, step = 10) => { await clock.advance(0); for (let gone = 0; gone < ms; gone += step) await clock.advance(Math.min(step, ms - gone)) }
  return { prober, answers, attempts, unhealthy, pass, abort, done, settle: () => clock.advance(0) }
}

test('readiness is asked at once, then often while the container is young, silently', async () => {
  const t = harness({ readinessProbe: { periodSeconds: 10 } })
  await t.pass(1000)
  assert.deepEqual(t.attempts.slice(0, 3), ['readiness@0', 'readiness@50', 'readiness@100'])
  assert.ok(t.attempts.length > 5 && t.attempts.length < 15, t.attempts.join(' '))
  assert.deepEqual(t.unhealthy, [])
  t.answers.readiness = true
  await t.pass(500)
  assert.equal(t.prober.view.ready, true)
  const asked = t.attempts.length
  await t.pass(8000)
  assert.equal(t.attempts.length, asked)
  t.abort.abort()
})

test('once ready, three failures a period apart make it unready', async () => {
  const t = harness({ readinessProbe: { periodSeconds: 2 } })
  t.answers.readiness = true
  await t.settle()
  assert.equal(t.prober.view.ready, true)
  t.answers.readiness = false
  await t.pass(5990)
  assert.equal(t.prober.view.ready, true)
  await t.pass(20)
  assert.equal(t.prober.view.ready, false)
  assert.deepEqual(t.unhealthy, ['readiness@2000', 'readiness@4000', 'readiness@6000'])
  t.abort.abort()
})

test('liveness waits one period, or initialDelaySeconds', async () => {
  for (const [probe, first] of [[{ periodSeconds: 3 }, 'liveness@3000'], [{ periodSeconds: 3, initialDelaySeconds: 1 }, 'liveness@1000']] as const) {
    const t = harness({ livenessProbe: probe })
    await t.pass(3000)
    assert.equal(t.attempts[0], first)
    t.abort.abort()
  }
})

test('liveness fails once for each container', async () => {
  const t = harness({ livenessProbe: { periodSeconds: 1, failureThreshold: 2 } })
  await t.pass(5000)
  assert.equal(t.prober.view.failed, 'liveness')
  assert.equal(t.attempts.length, 2)
  await t.done
})

test('the startup probe comes before the others', async () => {
  const t = harness({ startupProbe: { periodSeconds: 1 }, readinessProbe: { periodSeconds: 1 }, livenessProbe: { periodSeconds: 1 } })
  await t.pass(900)
  assert.ok(t.attempts.every(attempt => attempt.startsWith('startup')))
  assert.equal(t.prober.view.started, false)
  t.answers.startup = t.answers.readiness = t.answers.liveness = true
  await t.pass(500)
  assert.deepEqual(t.prober.view, { started: true, ready: true })
  t.abort.abort()
})
