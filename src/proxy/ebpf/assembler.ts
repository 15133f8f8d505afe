// An assembler for eBPF: instructions as values with readable operands, labels, and from them the
// bytes that the kernel loads (Documentation/bpf/standardization/instruction-set.rst, RFC 9669). Pure;
// it knows nothing of what a program may do, which is the verifier's part.

export type Register = 'r0' | 'r1' | 'r2' | 'r3' | 'r4' | 'r5' | 'r6' | 'r7' | 'r8' | 'r9' | 'r10'
/** Bytes of a memory access: 1, 2, 4, 8. */
export type Size = 'b' | 'h' | 'w' | 'dw'
export type Comparison = '==' | '!=' | '>' | '>=' | '<' | '<='
export type Operator = '+' | '-' | '*' | '|' | '&' | '<<' | '>>' | '%' | '='

interface Plain { readonly opcode: number; readonly dst?: Register; readonly src?: Register | number; readonly offset?: number; readonly imm?: number }
export type Instruction =
  | Plain
  | { readonly label: string }
  | (Plain & { readonly to: string })
  /** Two instructions wide: the address of a map. */
  | { readonly map: number; readonly dst: Register }

const sizes: Record<Size, number> = { w: 0x00, h: 0x08, b: 0x10, dw: 0x18 }
const operators: Record<Operator, number> = { '+': 0x00, '-': 0x10, '*': 0x20, '|': 0x40, '&': 0x50, '<<': 0x60, '>>': 0x70, '%': 0x90, '=': 0xb0 }
const comparisons: Record<Comparison, number> = { '==': 0x10, '>': 0x20, '>=': 0x30, '!=': 0x50, '<': 0xa0, '<=': 0xb0 }
/** Helper functions by number (include/uapi/linux/bpf.h, ___BPF_FUNC_MAPPER). */
const helpers = {
  map_lookup_elem: 1, map_update_elem: 2, ktime_get_ns: 5, get_prandom_u32: 7, get_socket_cookie: 46,
  sk_storage_get: 107, get_netns_cookie: 122, set_retval: 187,
} as const
export type Helper = keyof typeof helpers

const fromRegister = 0x08
const operand = (value: Register | number): Pick<Plain, 'src' | 'imm'> => typeof value === 'number' ? { imm: value } : { src: value }
const flag = (value: Register | number) => typeof value === 'number' ? 0 : fromRegister

/** `dst = dst <operator> value` in 64 bits; a number is 32 bits, sign-extended. */
export const op = (dst: Register, operator: Operator, value: Register | number): Instruction =>
  ({ opcode: 0x07 | operators[operator] | flag(value), dst, ...operand(value) })
/** The same in 32 bits: the upper half of `dst` becomes 0. */
export const op32 = (dst: Register, operator: Operator, value: Register | number): Instruction =>
  ({ opcode: 0x04 | operators[operator] | flag(value), dst, ...operand(value) })
/** `dst = *(size *)(src + offset)` */
export const load = (size: Size, dst: Register, src: Register, offset: number): Instruction =>
  ({ opcode: 0x61 | sizes[size], dst, src, offset })
/** `*(size *)(dst + offset) = value` */
export const store = (size: Size, dst: Register, offset: number, value: Register | number): Instruction =>
  ({ opcode: (typeof value === 'number' ? 0x62 : 0x63) | sizes[size], dst, offset, ...operand(value) })
export const label = (name: string): Instruction => ({ label: name })
export const jump = (to: string): Instruction => ({ opcode: 0x05, to })
/** Compares unsigned, in 64 bits. */
export const jumpIf = (dst: Register, comparison: Comparison, value: Register | number, to: string): Instruction =>
  ({ opcode: 0x05 | comparisons[comparison] | flag(value), dst, ...operand(value), to })
/** Compares unsigned, in 32 bits. */
export const jumpIf32 = (dst: Register, comparison: Comparison, value: Register | number, to: string): Instruction =>
  ({ opcode: 0x06 | comparisons[comparison] | flag(value), dst, ...operand(value), to })
export const call = (helper: Helper): Instruction => ({ opcode: 0x85, imm: helpers[helper] })
export const exit: Instruction = { opcode: 0x95 }
/** `dst` becomes the map whose descriptor is `fd`. */
export const loadMap = (dst: Register, fd: number): Instruction => ({ map: fd, dst })

const number = (register: Register | number | undefined) => typeof register === 'string' ? Number(register.slice(1)) : register ?? 0

function encode({ opcode, dst, src, offset = 0, imm = 0 }: Plain): Buffer {
  const bytes = Buffer.alloc(8)
  bytes[0] = opcode
  bytes[1] = number(dst) | number(src) << 4
  bytes.writeInt16LE(offset, 2)
  bytes.writeInt32LE(imm | 0, 4)
  return bytes
}

/** The program's bytes, 8 an instruction. Throws on a label that is missing or given twice, and on a jump to itself. */
export function assemble(program: readonly Instruction[]): Buffer {
  const places = new Map<string, number>()
  let length = 0
  for (const instruction of program) {
    if (!('label' in instruction)) { length += 'map' in instruction ? 2 : 1; continue }
    if (places.has(instruction.label)) throw new Error(`label ${instruction.label} stands twice`)
    places.set(instruction.label, length)
  }
  const bytes: Buffer[] = []
  for (const instruction of program) {
    if ('label' in instruction) continue
    // BPF_PSEUDO_MAP_FD is the source register 1 of a 64-bit immediate load.
    if ('map' in instruction) bytes.push(encode({ opcode: 0x18, dst: instruction.dst, src: 1, imm: instruction.map }), encode({ opcode: 0 }))
    else if ('to' in instruction) {
      const place = places.get(instruction.to)
      if (place === undefined) throw new Error(`no label ${instruction.to}`)
      bytes.push(encode({ ...instruction, offset: place - bytes.length - 1 }))
    } else bytes.push(encode(instruction))
  }
  return Buffer.concat(bytes)
}
