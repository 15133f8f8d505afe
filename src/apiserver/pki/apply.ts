// The certificates and keys of a cluster: made once into a directory, read again later. EC P-256 keys
// (three in half a millisecond). The library that signs is loaded only when something must be made.
import { X509Certificate, generateKeyPairSync, randomBytes, webcrypto, type KeyObject } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyPair, Pki } from '../config.ts'

export interface PkiOptions {
  /** The first address of the service range. */
  readonly serviceIp: string
  readonly advertiseAddress: string
  readonly nodeNames: readonly string[]
}

/** What a certificate says. */
interface Request {
  readonly commonName: string
  readonly organization?: string
  readonly uses: readonly ('server' | 'client')[]
  readonly dns?: readonly string[]
  readonly ips?: readonly string[]
}

const days = 24 * 3600 * 1000
const lifetime = 10 * 365 * days

/** Reads `dir`, making what is missing; the CA and the service account key are never made again. */
export async function ensurePki(dir: string, { serviceIp, advertiseAddress, nodeNames }: PkiOptions): Promise<Pki> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const ca = await ensureCa(dir)
  const pair = (name: string, request: Request) => ensurePair(dir, name, { ca, request })
  const apiserver: Request = {
    commonName: 'kube-apiserver', uses: ['server'],
    dns: ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'localhost', ...nodeNames],
    ips: [...new Set(['127.0.0.1', '::1', serviceIp, advertiseAddress])],
  }
  const kubelets = new Map<string, KeyPair>()
  for (const node of nodeNames) {
    kubelets.set(node, await pair(`kubelet-${node}`, { commonName: `system:node:${node}`, organization: 'system:nodes', uses: ['server', 'client'], dns: [node] }))
  }
  return {
    ca: ca.cert, kubelets, serviceAccountKey: await ensureServiceAccountKey(dir),
    apiserver: await pair(`apiserver`, apiserver),
    apiserverKubeletClient: await pair('apiserver-kubelet-client', { commonName: 'kube-apiserver-kubelet-client', organization: 'system:masters', uses: ['client'] }),
    admin: await pair('admin', { commonName: 'kubernetes-admin', organization: 'system:masters', uses: ['client'] }),
  }
}

// ---- files

async function readPair(dir: string, name: string): Promise<KeyPair | undefined> {
  const [cert, key] = await Promise.all([read(join(dir, `${name}.crt`)), read(join(dir, `${name}.key`))])
  return cert !== undefined && key !== undefined ? { cert, key } : undefined
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Whole or not at all, also when the machine stops in the middle. */
async function write(file: string, text: string): Promise<void> {
  const draft = `${file}.${process.pid}.new`
  await writeFile(draft, text, { mode: 0o600, flush: true })
  await rename(draft, file)
}

async function writePair(dir: string, name: string, { cert, key }: KeyPair): Promise<KeyPair> {
  await write(join(dir, `${name}.key`), key)
  await write(join(dir, `${name}.crt`), cert) // last: a pair without it is made again
  return { cert, key }
}

// ---- keys and certificates

async function ensureServiceAccountKey(dir: string): Promise<string> {
  const known = await read(join(dir, 'sa.key'))
  if (known !== undefined) return known
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await write(join(dir, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }) as string)
  const key = pem(privateKey)
  await write(join(dir, 'sa.key'), key)
  return key
}

async function ensureCa(dir: string): Promise<KeyPair> {
  return await readPair(dir, 'ca') ?? writePair(dir, 'ca', await makeCa())
}

async function ensurePair(dir: string, name: string, { ca, request }: { ca: KeyPair; request: Request }): Promise<KeyPair> {
  const known = await readPair(dir, name)
  if (known && serves(known.cert, ca.cert, request)) return known
  return writePair(dir, name, await makeCertificate(ca, request))
}

/** Whether a certificate is of this CA, has all the names that are wanted now and some time left to live. */
function serves(cert: string, ca: string, { dns = [], ips = [] }: Request): boolean {
  const certificate = new X509Certificate(cert)
  return Date.parse(certificate.validTo) > Date.now() + 30 * days && certificate.verify(new X509Certificate(ca).publicKey)
    && dns.every(name => certificate.checkHost(name) !== undefined) && ips.every(ip => certificate.checkIP(ip) !== undefined)
}

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string

type Library = typeof import('@peculiar/x509')
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

async function library(): Promise<Library> {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  x509.cryptoProvider.set(webcrypto as unknown as Parameters<Library['cryptoProvider']['set']>[1])
  return x509
}

const generate = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const base64 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${base64.match(/.{1,64}/g)!.join('\n')}\n-----END PRIVATE KEY-----\n`
}

const importKey = (text: string) => {
  const der = Buffer.from(text.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign'])
}

// RFC 5280 4.1.2.2: positive, at most 20 octets.
const serialNumber = (): string => `01${randomBytes(15).toString('hex')}`
/** A minute back, for clocks that differ. */
const validity = () => ({ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + lifetime) })

async function makeCa(): Promise<KeyPair> {
  const x509 = await library()
  const keys = await generate()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(), name: 'CN=kubernetes', ...validity(), keys, signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: certificate.toString('pem') + '\n', key: await exportKey(keys.privateKey) }
}

async function makeCertificate(ca: KeyPair, { commonName, organization, uses, dns = [], ips = [] }: Request): Promise<KeyPair> {
  const x509 = await library()
  const keys = await generate()
  const issuer = new x509.X509Certificate(ca.cert)
  const usage = { server: x509.ExtendedKeyUsage.serverAuth, client: x509.ExtendedKeyUsage.clientAuth }
  const names = [...dns.map(value => ({ type: 'dns' as const, value })), ...ips.map(value => ({ type: 'ip' as const, value }))]
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(), issuer: issuer.subject, ...validity(), publicKey: keys.publicKey,
    subject: [...(organization ? [{ O: [organization] }] : []), { CN: [commonName] }],
    signingKey: await importKey(ca.key), signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(uses.map(use => usage[use])),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  })
  return { cert: certificate.toString('pem') + '\n', key: await exportKey(keys.privateKey) }
}
