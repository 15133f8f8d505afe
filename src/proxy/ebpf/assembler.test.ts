import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble, call, exit, jump, jumpIf, jumpIf32, label, load, loadMap, op, op32, store, type Instruction } from './assembler.ts'

// Encodings as llvm-objdump and the kernel's own tests print them (instruction-set.rst, tools/testing/selftests/bpf).
const known: [string, Instruction, string][] = [
  ['r0 = 1', op('r0', '=', 1), 'b700000001000000'],
  ['r6 = r1', op('r6', '=', 'r1'), 'bf16000000000000'],
  ['r2 += -8', op('r2', '+', -8), '07020000f8ffffff'],
  ['r0 -= r1', op('r0', '-', 'r1'), '1f10000000000000'],
  ['w0 %= w9', op32('r0', '%', 'r9'), '9c90000000000000'],
  ['w8 = w9', op32('r8', '=', 'r9'), 'bc98000000000000'],
  ['r9 >>= 32', op('r9', '>>', 32), '7709000020000000'],
  ['r1 &= 255', op('r1', '&', 255), '57010000ff000000'],
  ['r1 <<= 3', op('r1', '<<', 3), '6701000003000000'],
  ['r1 |= r2', op('r1', '|', 'r2'), '4f21000000000000'],
  ['r1 *= 2', op('r1', '*', 2), '2701000002000000'],
  ['r2 = *(u32 *)(r6 + 4)', load('w', 'r2', 'r6', 4), '6162040000000000'],
  ['r3 = *(u8 *)(r1 + 1)', load('b', 'r3', 'r1', 1), '7113010000000000'],
  ['r3 = *(u16 *)(r1 + 2)', load('h', 'r3', 'r1', 2), '6913020000000000'],
  ['r1 = *(u64 *)(r10 - 8)', load('dw', 'r1', 'r10', -8), '79a1f8ff00000000'],
  ['*(u32 *)(r10 - 4) = r2', store('w', 'r10', -4, 'r2'), '632afcff00000000'],
  ['*(u64 *)(r10 - 8) = r0', store('dw', 'r10', -8, 'r0'), '7b0af8ff00000000'],
  ['*(u16 *)(r10 - 2) = r1', store('h', 'r10', -2, 'r1'), '6b1afeff00000000'],
  ['*(u32 *)(r10 - 4) = 0', store('w', 'r10', -4, 0), '620afcff00000000'],
  ['*(u8 *)(r10 - 1) = 127', store('b', 'r10', -1, 127), '720affff7f000000'],
  ['call bpf_map_lookup_elem', call('map_lookup_elem'), '8500000001000000'],
  ['call bpf_set_retval', call('set_retval'), '85000000bb000000'],
  ['r1 = map fd 5', loadMap('r1', 5), '18110000050000000000000000000000'],
  ['exit', exit, '9500000000000000'],
]
for (const [text, instruction, bytes] of known) test(text, () => assert.equal(assemble([instruction]).toString('hex'), bytes))

test('jumps count from the next instruction, over the two of a map', () => {
  const code = assemble([label('top'), jumpIf('r0', '==', 0, 'out'), loadMap('r1', 3), jumpIf('r1', '>', 'r2', 'top'), jumpIf32('r1', '!=', 0xffff0000, 'top'), jump('out'), label('out'), exit])
  assert.deepEqual(code.toString('hex').match(/.{16}/g), [
    '1500050000000000', '1811000003000000', '0000000000000000', '2d21fcff00000000', '5601fbff0000ffff', '0500000000000000', '9500000000000000'])
})

test('labels that are missing or stand twice', () => {
  assert.throws(() => assemble([jump('nowhere'), exit]), /no label nowhere/)
  assert.throws(() => assemble([label('here'), label('here'), exit]), /label here stands twice/)
})
