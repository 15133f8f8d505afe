// A server's certificate and what it asks of clients, from the `tls` plugin's words to Node's.
import type { ListenSettings } from '../plugin.ts'

export interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer | undefined
  readonly clientAuth: NonNullable<ListenSettings['tls']>['clientAuth']
}

export const tlsOptions = ({ cert, key, ca, clientAuth }: TlsFiles) => ({
  cert, key, ...(ca && { ca }),
  requestCert: clientAuth !== 'nocert',
  // Node refuses a missing certificate and a wrong one alike; the kinds between ask and do not insist.
  rejectUnauthorized: clientAuth === 'require' || clientAuth === 'require_and_verify',
  minVersion: 'TLSv1.2' as const,
})
