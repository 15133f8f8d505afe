// node:http without its ECMAScript wrapper. `import ... from 'node:http'` reads every export, one of
// which loads the whole of undici: 33 ms of CPU and 15 MB in each process (Node 26.10). Every process
// of a cluster speaks HTTP, so all of them take it from here. Types come from 'node:http' as usual.

export const { Agent, createServer, get, request } = process.getBuiltinModule('node:http')
