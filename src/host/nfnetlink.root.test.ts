// What the kernel refuses, and that the socket goes on after it; what it takes is tested with the
// proxy's nftables mode, against the text form.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isolated } from './isolated.ts'
import { isGone, openNftables, type SetType } from './nfnetlink.ts'
import { nft } from './nft.ts'

const base = 'table ip t {\n map m { type ipv4_addr . inet_service : verdict; }\n chain c { drop; }\n}\n'
const setOf = (): SetType => ({ fields: ['address', 'port'], data: 'verdict' })
const element = (n: number, value = 'goto c') => ({ set: 'm', key: `10.0.${n >> 8}.${n & 255} . 80`, value })
const elements = (count: number) => Array.from({ length: count }, (_, n) => element(n))

isolated(import.meta.url, ['root', 'user'], () => {
  test('all or nothing, and the next call works', async () => {
    const tool = nft(), netlink = openNftables()
    await tool.apply(base)
    const count = async () => (await tool.list('ip t'))!.match(/ : goto c/g)?.length ?? 0
    const change = (added: ReturnType<typeof elements>, removed: ReturnType<typeof elements> = []) => netlink.changeElements('ip t', { added, removed, setOf })
    const before = netlink.generation()
    change(elements(1000))
    assert.equal(await count(), 1000)
    assert.equal(netlink.generation(), before + 1, 'one transaction')
    assert.throws(() => change([element(2000), element(5)]), { code: 'EEXIST' })
    assert.throws(() => change([element(2000)], [element(3000)]), isGone)
    assert.throws(() => change([element(2000, 'goto nowhere')]), isGone)
    assert.throws(() => netlink.changeElements('ip none', { added: [element(1)], removed: [], setOf }), isGone)
    // The kernel sends back what it refuses: more than the socket holds is ENOBUFS.
    assert.throws(() => change(elements(5000)), { name: 'SystemError' })
    assert.equal(await count(), 1000)
    change([element(1, 'drop'), element(2000)], [element(1), element(2)])
    assert.equal(await count(), 999)
    assert.match((await tool.list('ip t'))!, /10\.0\.0\.1 \. 80 : drop/)
    netlink.close()
  })
})
