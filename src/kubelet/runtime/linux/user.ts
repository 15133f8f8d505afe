// Who a container runs as: an image's USER and a pod's runAsUser, resolved in the container's own
// /etc/passwd and /etc/group as runc's user.GetExecUser does. Pure text to numbers.
import type { ProcessPlan } from './requests.ts'

export interface User { readonly uid: number; readonly gid: number; readonly groups: readonly number[]; readonly home: string }

interface Account { name: string; uid: number; gid: number; home: string }
interface Group { name: string; gid: number; members: string[] }

const rows = (text: string) => text.split('\n').map(line => line.split(':'))
const accounts = (passwd: string): Account[] => rows(passwd).filter(row => row.length >= 6)
  .map(([name, , uid, gid, , home]) => ({ name: name!, uid: Number(uid), gid: Number(gid), home: home! }))
const groupsOf = (group: string): Group[] => rows(group).filter(row => row.length >= 4)
  .map(([name, , gid, members]) => ({ name: name!, gid: Number(gid), members: members!.split(',') }))

const isNumber = (text: string) => /^\d+$/.test(text)

/** Throws when a name is not in the files; a number need not be. */
export function resolveUser(plan: Pick<ProcessPlan, 'user' | 'group' | 'supplementalGroups'>, files: { readonly passwd: string; readonly group: string }): User {
  const [userPart, groupPart] = (plan.user || '0').split(':') as [string, string | undefined]
  const account = accounts(files.passwd).find(entry => entry.name === userPart || isNumber(userPart) && entry.uid === Number(userPart))
  if (!account && !isNumber(userPart)) throw new Error(`unable to find user ${userPart}: no matching entries in passwd file`)
  const all = groupsOf(files.group)
  const named = groupPart ? all.find(entry => entry.name === groupPart)?.gid ?? (isNumber(groupPart) ? Number(groupPart) : undefined) : undefined
  if (groupPart && named === undefined) throw new Error(`unable to find group ${groupPart}: no matching entries in group file`)
  const gid = plan.group ?? named ?? account?.gid ?? 0
  const memberships = account ? all.filter(entry => entry.members.includes(account.name)).map(entry => entry.gid) : []
  return {
    uid: account?.uid ?? Number(userPart), gid,
    groups: [...new Set([gid, ...memberships, ...plan.supplementalGroups])],
    home: account?.home || '/',
  }
}
