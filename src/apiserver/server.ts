// The API server put together: storage, kinds and rules behind one handler, reached in this process
// through a Transport or over HTTPS. The only file here that starts timers.
import { createPrivateKey, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import type { Transport } from '#client/transport.ts'
import { resources } from '#api/resources.ts'
import { systemClock } from '#lib/clock.ts'
import { logger, type Log } from '#lib/log.ts'
import { admission } from './admission/admission.ts'
import { Tokens } from './authn/tokens.ts'
import { Authorizer } from './authz/rbac.ts'
import { ensureSystemObjects } from './bootstrap.ts'
import { defaults, type ApiServerConfig } from './config.ts'
import { Stores, type Api } from './http/api.ts'
import { handle } from './http/handler.ts'
import type { Request, User } from './http/request.ts'
import { httpsListener, type ListenOptions } from './http/server.ts'
import { kubeletClient } from './kubelet/apply.ts'
import { housekeeping } from './housekeeping.ts'
import { conversionOf, storagePrefixOf } from './rest/conversions.ts'
import { Store } from './rest/store.ts'
import { Watches } from './rest/watch.ts'
import type { Backend } from './rest/backend.ts'
import { memoryStorage } from './storage/memory.ts'
import { openSqliteStorage } from './storage/sqlite/apply.ts'
import type { Storage } from './storage/storage.ts'
import { strategies } from './registry/strategies.ts'
import { transport } from './transport.ts'

export interface ApiServer {
  /** Straight into this server, without sockets; answers are the stored, frozen objects. */
  transport(user: Pick<User, 'name' | 'groups'>): Transport
  /** HTTPS on an address, or on a server that listens already. Resolves once connections are taken. */
  listen(options: ListenOptions): Promise<{ readonly port: number }>
  readonly storage: Storage
  /** Ends all watches and connections, then closes the storage. */
  close(): Promise<void>
}

export interface ApiServerDependencies { readonly log?: Log; /** Milliseconds since 1970. */ readonly now?: () => number }

/** A server with its system objects in place. Settings that are left out are `defaults` of config.ts. */
export async function createApiServer(config: Partial<ApiServerConfig> = {}, { log = logger('apiserver'), now = Date.now }: ApiServerDependencies = {}): Promise<ApiServer> {
  const settings: ApiServerConfig = { ...defaults, ...config }
  const storage = settings.storageFile === undefined ? memoryStorage() : openSqliteStorage(settings.storageFile)
  let ready = false
  const api = assemble(settings, { storage, now, ready: () => ready })
  const kubelets = kubeletClient(settings.pki)
  const serve = (request: Request) => handle(api, request, error => log.error('a request failed', error, { method: request.method, path: request.path }))
  await ensureSystemObjects(api, settings)
  ready = true
  const keeper = housekeeping(api, settings)
  const timer = setInterval(() => keeper.tick(now()).catch((error: unknown) => log.error('housekeeping failed', error)), 1000)
  timer.unref()
  const listeners: { close(): Promise<void> }[] = []
  return {
    storage,
    transport: user => transport({ name: user.name, groups: [...new Set([...user.groups, 'system:authenticated'])] }, serve, kubelets.get),
    async listen(options) {
      if (!settings.pki) throw new Error('the API server has no certificates: give it `pki` to listen')
      const listener = await httpsListener({ serve, tokens: api.tokens, pki: settings.pki, kubelets, log }, options)
      listeners.push(listener)
      return listener
    },
    async close() {
      clearInterval(timer)
      await Promise.all(listeners.map(listener => listener.close()))
      api.watches.close()
      api.authorizer.close()
      await storage.close()
    },
  }
}

function assemble(config: ApiServerConfig, { storage, now, ready }: { storage: Storage; now: () => number; ready: () => boolean }): Api {
  const backend: Backend = {
    storage, strategies, settings: config.settings, now, uuid: randomUUID, suffix,
    admission: admission({ storage, suffix, sleep: systemClock.sleep }),
  }
  const stores = [...strategies].map(([key, strategy]) => new Store(backend, { strategy, prefix: storagePrefixOf(key), conversion: conversionOf(key) }))
  const privateKey = config.pki ? createPrivateKey(config.pki.serviceAccountKey) : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  return {
    backend, ready, resources: Object.values(resources), stores: new Stores(stores), watches: new Watches(), authorizer: new Authorizer(storage),
    tokens: new Tokens({ storage, privateKey, now, uuid: randomUUID }),
  }
}

// rand.String of apimachinery: no vowels, so that no word comes out.
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'
const suffix = (): string => Array.from(randomBytes(5), byte => alphabet[byte % alphabet.length]).join('')
