// One file out of a zip archive (PKWARE APPNOTE 4.3): enough for the archives that kubectl comes in;
// stored or deflated, no encryption, no zip64. Pure.
import { inflateRawSync } from 'node:zlib'

export function fileFromZip(zip: Buffer, wanted: string): Buffer | undefined {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06'))
  if (end < 0) throw new Error('not a zip archive')
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const nameLength = zip.readUInt16LE(at + 28)
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength)
    if (name === wanted) return content(zip, at)
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  return undefined
}

function content(zip: Buffer, header: number): Buffer {
  const method = zip.readUInt16LE(header + 10), size = zip.readUInt32LE(header + 20), local = zip.readUInt32LE(header + 42)
  const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
  const bytes = zip.subarray(start, start + size)
  if (method !== 0 && method !== 8) throw new Error(`zip compression method ${method} is not supported`)
  return method === 8 ? inflateRawSync(bytes) : bytes
}
