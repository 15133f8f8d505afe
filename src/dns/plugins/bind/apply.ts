// What addresses this machine has.
export { networkInterfaces as interfaces } from 'node:os'
