// Two methods that Node's buffers have and its types leave out: the fastest way between bytes and
// strings of one char a byte.
declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string
    latin1Write(text: string, offset?: number, length?: number): number
  }
}
export {}
