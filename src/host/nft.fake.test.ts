import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeNft } from './nft.fake.ts'

const base = 'table ip t {\n\tmap m {\n\t\ttype ipv4_addr : verdict\n\t}\n\n\tset r {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t}\n\n\tchain a {\n\t\tip daddr vmap @m\n\t}\n\n\tchain b {\n\t\tdrop\n\t}\n}\n'
const refused: [string, RegExp][] = [
  ['add element ip t m { 10.0.0.1 : goto nowhere }', /No such file/], ['add rule ip t b jump nowhere', /No such file/], ['add rule ip t b ip daddr @nowhere drop', /No such file/],
  ['add element ip t m { 10.0.0.1 : goto b }\ndelete chain ip t b', /No such file/], ['delete set ip t m', /No such file/], ['delete element ip t m { 10.0.0.1 }', /No such file/],
  ['add element ip t m { 10.0.0.1 : goto b }\nadd element ip t m { 10.0.0.1 : goto a }', /File exists/], ['add element ip t r { 10.0.0.0/8, 10.1.0.0/16 }', /conflicting intervals/],
  ['add element ip t m { 10.0.0.1 . tcp : goto b }', /datatype mismatch/], ['add element ip t m { 10.0.0.1 }', /a map takes pairs/], ['delete table ip other', /No such file/], ['replace rule ip t a drop', /syntax error/],
]
for (const [text, message] of refused) {
  test(`refused, with nothing changed: ${text.replace('\n', '; ')}`, async () => {
    const nft = new FakeNft()
    await nft.apply(base)
    const before = await nft.list('ip t')
    await assert.rejects(nft.apply(`add element ip t r { 1.2.3.4 }\n${text}\n`), message)
    assert.equal(await nft.list('ip t'), before)
  })
}

test('what it lists it takes again', async () => {
  const nft = new FakeNft(), other = new FakeNft()
  await nft.apply(base)
  await nft.apply('add element ip t m { 10.0.0.1 : goto b }\n')
  const text = (await nft.list('ip t'))!
  await other.apply(text)
  assert.equal(await other.list('ip t'), text)
  assert.deepEqual(await nft.names('ip t'), { comment: undefined, chains: ['a', 'b'], sets: ['m', 'r'] })
})
