// Capability names and sets: what a container may do. Pure numbers.

// include/uapi/linux/capability.h, in order
const names = ['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP',
  'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE',
  'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME',
  'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG',
  'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF', 'CHECKPOINT_RESTORE']

// What containerd gives a container that asks for nothing (oci.defaultUnixCaps).
const usual = ['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP',
  'NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE']

/** `NET_ADMIN`, `CAP_NET_ADMIN` and `ALL`; throws on a name that no kernel knows. */
function bitsOf(list: readonly string[]): bigint {
  return list.reduce((sum, given) => {
    const name = given.toUpperCase().replace(/^CAP_/, '')
    if (name === 'ALL') return (1n << BigInt(names.length)) - 1n
    const number = names.indexOf(name)
    if (number < 0) throw new Error(`unknown capability ${JSON.stringify(given)} to add or drop`)
    return sum | 1n << BigInt(number)
  }, 0n)
}

/** The set of a container, one bit each. As containerd does: ALL is added or dropped first, then single names. */
export function capabilitySet(security: { readonly privileged: boolean; readonly addCapabilities: readonly string[]; readonly dropCapabilities: readonly string[] }): bigint {
  if (security.privileged) return bitsOf(['ALL'])
  const isAll = (name: string) => name.toUpperCase().replace(/^CAP_/, '') === 'ALL'
  let set = bitsOf(usual)
  if (security.addCapabilities.some(isAll)) set = bitsOf(['ALL'])
  if (security.dropCapabilities.some(isAll)) set = 0n
  set |= bitsOf(security.addCapabilities.filter(name => !isAll(name)))
  return set & ~bitsOf(security.dropCapabilities.filter(name => !isAll(name)))
}
