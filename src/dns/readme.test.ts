// House rules of plugins: each folder has a place in the order and a README of one shape, and every
// Corefile in a README is run.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserError } from '#lib/errors.ts'
import { load, order } from './plugins.ts'
import { testServer } from './testing/server.ts'

const folder = join(import.meta.dirname, 'plugins')
const names = readdirSync(folder)
const readmeOf = (name: string) => existsSync(join(folder, name, 'README.md')) ? readFileSync(join(folder, name, 'README.md'), 'utf8') : ''

test('each plugin of the order has a folder, and each folder a place in the order', () => {
  assert.deepEqual(names.toSorted(), order.toSorted())
})

for (const name of names) {
  test(`${name}: exports itself, and its README has the four sections and an example`, async () => {
    const plugin = await load(name as (typeof order)[number])
    assert.equal(plugin.name, name)
    const readme = readmeOf(name)
    assert.deepEqual([...readme.matchAll(/^## (.+)$/gm)].map(match => match[1]).filter(title => ['Name', 'Description', 'Syntax', 'Examples'].includes(title!)), ['Name', 'Description', 'Syntax', 'Examples'])
    assert.match(readme, new RegExp(`^\\*${name}\\* - \\S`, 'm'))
    assert.match(readme, /^```corefile$/m)
  })
  for (const [index, [, corefile]] of [...readmeOf(name).matchAll(/^```corefile\n([^]*?)^```$/gm)].entries()) {
    test(`${name}: example ${index + 1} runs`, () => runs(corefile!))
  }
}

/** On loopback and free ports only. What the example names and this machine lacks (files, a cluster) may be missing; nothing else may be wrong. */
async function runs(corefile: string): Promise<void> {
  const here = corefile.replace(/^((?:\S.*)?\{)$/gm, line => line.startsWith('(') || /\bbind\b/.test(corefile) ? line : `${line}\n    bind 127.0.0.1`)
    .replace(/^(\s+(?:health|ready|prometheus))(?: \S*:\d+)?(?= *\{?$)/gm, '$1 127.0.0.1:0')
    // The keys of server blocks stand at the start of a line; addresses within a block are not ours to listen on.
    .replace(/^\S.*\{$/gm, keys => keys.replaceAll(/:(?:53|1053|5353|853|443)\b/g, ':0').replaceAll(/\b(tls|https):\/\/([^\s:]+)/g, '$1://$2:0'))
  try {
    const { server } = await testServer(here, { file: join(folder, 'Corefile') })
    await server.stop()
  } catch (error) {
    assert.ok(error instanceof UserError, `${here}\n${(error as Error).stack}`)
    assert.match(error.message, /ENOENT|no such file|cannot read|in-cluster|service ?account|KUBERNETES_SERVICE_HOST|kubeconfig/i, here)
  }
}
