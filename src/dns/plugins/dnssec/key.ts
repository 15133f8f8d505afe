// A key pair as dnssec-keygen writes it, for ECDSA P-256 with SHA-256 (RFC 6605), and signing with it.
import { createPrivateKey, sign, type KeyObject } from 'node:crypto'
import type { Rr } from '../../wire/message.ts'
import { fold } from '../../wire/name.ts'
import { parseRecord } from '../../wire/rdata.ts'
import { types } from '../../wire/types.ts'

const ecdsaP256 = 13

export interface Key {
  readonly dnskey: Rr
  readonly tag: number
  /** Secure entry point: it signs the DNSKEY records (RFC 4034 2.1.1). */
  readonly isEntryPoint: boolean
  sign(data: Buffer): Buffer
}

/** RFC 4034 B. */
export function keyTag(data: Buffer): number {
  let sum = 0
  for (const [i, byte] of data.entries()) sum += i & 1 ? byte : byte << 8
  return sum + (sum >> 16) & 0xffff
}

/** Throws Error: what is wrong with the files. */
export function readKey(publicText: string, privateText: string): Key {
  const line = publicText.split('\n').map(line => line.replace(/;.*/, '').trim()).find(line => /\sDNSKEY\s/.test(line))
  const dnskey = line === undefined ? undefined : parseRecord(line.replace(/[()]/g, ' '))
  if (dnskey?.type !== types.DNSKEY) throw new Error('the .key file holds no DNSKEY record')
  const algorithm = dnskey.data[3], field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(privateText)?.[1]
  if (algorithm !== ecdsaP256) throw new Error(`algorithm ${algorithm} is not supported: make a key with dnssec-keygen -a ECDSAP256SHA256`)
  if (field('Algorithm') !== String(ecdsaP256)) throw new Error('the .private file is of another algorithm than the .key file')
  const secret = Buffer.from(field('PrivateKey') ?? '', 'base64'), point = dnskey.data.subarray(4)
  if (secret.length !== 32 || point.length !== 64) throw new Error('the key has the wrong length')
  const encoded = (bytes: Buffer) => bytes.toString('base64url')
  const key: KeyObject = createPrivateKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x: encoded(point.subarray(0, 32)), y: encoded(point.subarray(32)), d: encoded(secret) } })
  return {
    dnskey: { ...dnskey, name: fold(dnskey.name) }, tag: keyTag(dnskey.data), isEntryPoint: (dnskey.data.readUInt16BE(0) & 1) !== 0,
    sign: data => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }),
  }
}
