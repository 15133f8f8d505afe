// What a cluster is asked and what it answers: one table, run against the pure core and over the wire.
// Names without a last dot are below cluster.local.
import { externalName, namespace, pod, service, slice, type Objects } from './testing.ts'

/** The Corefile's line for all cases without options of their own. */
export const corefile = 'kubernetes cluster.local in-addr.arpa ip6.arpa {\n ttl 30\n pods insecure\n fallthrough example.org\n}'

const many = Array.from({ length: 10 }, (_, i) => `10.244.9.${i + 1}`).join(' ')

export const objects: Objects = {
  namespaces: ['default', 'kube-system', 'other', 'empty'].map(namespace),
  services: [
    service('default/kubernetes', '10.96.0.1', 'https:443'),
    service('kube-system/kube-dns', '10.96.0.10', 'dns/UDP:53 dns-tcp/TCP:53 metrics:9153'),
    service('default/web', '10.96.0.20', 'http:80 https:443'),
    service('default/unnamed', '10.96.0.21', ':8080'),
    service('default/dual', '10.96.0.22,fd00:96::22', 'http:80'),
    service('default/six', 'fd00:96::23', 'http:80'),
    service('default/noports', '10.96.0.24'),
    service('default/noendpoints', '10.96.0.25', 'http:80'),
    service('default/pending', '', 'http:80', { clusterIPs: [] }),
    service('default/db', 'None', 'peer:5432'),
    service('default/db6', 'None', 'peer:5432'),
    service('default/mixed', 'None', 'http:80'),
    service('default/portless', 'None'),
    service('default/down', 'None', 'http:80'),
    service('default/slices', 'None', 'http:80'),
    service('default/many', 'None', 'http:80'),
    service('default/same', 'None', 'http:80'),
    service('other/web', '10.97.0.20', 'http:80'),
    service('late/web', '10.98.0.20', 'http:80'), // its Namespace has not been seen yet
    externalName('default/ext', 'www.example.com'),
    externalName('default/ext-dot', 'www.example.com.'),
    externalName('default/inside', 'web.default.svc.cluster.local'),
    externalName('default/inside2', 'inside.default.svc.cluster.local'),
    externalName('default/inside-db', 'db-0.db.default.svc.cluster.local'),
    externalName('default/inside-none', 'nothing.default.svc.cluster.local'),
    externalName('default/loop', 'loop.default.svc.cluster.local'),
    externalName('default/loop1', 'loop2.default.svc.cluster.local'),
    externalName('default/loop2', 'loop1.default.svc.cluster.local'),
    externalName('default/anip', '192.0.2.7'),
    externalName('default/anip6', '2001:db8::7'),
  ],
  slices: [
    slice('kube-system/kube-dns-a', 'kube-dns', '10.244.0.2 10.244.0.3', 'dns/UDP:53 dns-tcp/TCP:53 metrics:9153'),
    slice('default/web-a', 'web', '10.244.1.5 10.244.1.6 !10.244.1.7', 'http:8080 https:8443'),
    slice('default/db-a', 'db', 'db-0=10.244.2.1 db-1=10.244.2.2 !db-2=10.244.2.3', 'peer:15432'),
    slice('default/db6-a', 'db6', '2001:db8::1 db6-1=2001:db8::2 2001:db8::', 'peer:5432'),
    slice('default/mixed-4', 'mixed', 'm-0=10.244.3.1', 'http:80'),
    slice('default/mixed-6', 'mixed', 'm-0=2001:db8:3::1', 'http:80'),
    slice('default/portless-a', 'portless', '10.244.4.1'),
    slice('default/down-a', 'down', '!10.244.5.1', 'http:80'),
    slice('default/slices-b', 'slices', '10.244.6.2', 'http:8082'),
    slice('default/slices-a', 'slices', '10.244.6.1', 'http:8081 extra/UDP:9'),
    slice('default/many-a', 'many', many, 'http:80'),
    slice('default/same-a', 'same', 'x=10.244.7.1 x=10.244.7.2 10.244.7.1', 'http:80'),
    slice('default/orphan-a', 'orphan', '10.244.8.1', 'http:80'),
    slice('other/web-a', 'web', '10.244.1.5', 'http:8080'), // the same pod as default/web's first
  ],
  pods: [pod('default/p1', '10.244.1.5'), pod('other/p2', '10.244.2.9,2001:db8:2::9'), pod('kube-system/host', '192.168.109.100', { hostNetwork: true })],
}
export const localIps = ['10.244.0.2']

const kubeDns = 'kube-dns.kube-system.svc.cluster.local.'
const nodata = 'NODATA cluster.local.', missing = 'NXDOMAIN cluster.local.'
const db = (target: string) => `${target}.db.default.svc.cluster.local.`

export const cases: readonly (readonly [question: string, answer: string])[] = [
  // The zone
  ['. A', 'passed on'],
  ['example.org. A', 'passed on'],
  ['cluster.local. A', nodata], ['cluster.local. AAAA', nodata], ['cluster.local. TXT', nodata], ['cluster.local. SRV', nodata], ['cluster.local. ANY', nodata],
  ['cluster.local. SOA', 'SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 30'],
  ['CLUSTER.local. SOA', 'SOA ns.dns.CLUSTER.local. hostmaster.CLUSTER.local. 1700000000 7200 1800 86400 30'],
  ['cluster.local. NS', `NS ${kubeDns} + ${kubeDns} A 10.96.0.10`],
  ['ns.dns A', 'A 10.96.0.10'], ['ns.dns AAAA', nodata], ['ns.dns TXT', nodata], ['dns A', nodata], ['x.dns A', missing], ['a.ns.dns A', missing],
  ['dns-version TXT', 'TXT "1.1.0" @28800'], ['DNS-Version TXT', 'TXT "1.1.0" @28800'], ['dns-version A', nodata], ['x.dns-version TXT', missing],
  ['svc A', nodata], ['pod A', nodata], ['default.svc A', nodata], ['default.svc SRV', nodata], ['empty.svc A', nodata], ['default.pod A', nodata], ['nowhere.svc A', missing], ['nowhere.pod A', missing],
  ['foo A', missing], ['foo.bar A', missing], ['web.default A', missing], ['default.svc SOA', nodata], ['web.default.svc SOA', nodata], ['web.default.svc NS', nodata], ['nothing.default.svc NS', missing],
  ['cluster.local. AXFR', 'REFUSED'], ['web.default.svc IXFR', 'REFUSED'],
  // ClusterIP Services
  ['web.default.svc A', 'A 10.96.0.20'], ['WeB.dEfAuLt.SvC A', 'A 10.96.0.20'], ['web.default.svc AAAA', nodata], ['web.default.svc TXT', nodata], ['web.default.svc MX', nodata], ['web.default.svc CNAME', nodata], ['web.default.svc ANY', nodata], ['web.default.svc PTR', nodata], ['web.default.svc HTTPS', nodata],
  ['kubernetes.default.svc A', 'A 10.96.0.1'], ['web.other.svc A', 'A 10.97.0.20'], ['web.late.svc A', 'A 10.98.0.20'], ['late.svc A', missing], ['kubernetes.other.svc A', missing],
  ['dual.default.svc A', 'A 10.96.0.22'], ['dual.default.svc AAAA', 'AAAA fd00:96::22'], ['six.default.svc A', nodata], ['six.default.svc AAAA', 'AAAA fd00:96::23'],
  ['noports.default.svc A', 'A 10.96.0.24'], ['noports.default.svc SRV', nodata], ['noendpoints.default.svc A', 'A 10.96.0.25'], ['pending.default.svc A', nodata],
  ['nothing.default.svc A', missing], ['nothing.default.svc AAAA', missing], ['nothing.default.svc TXT', missing], ['orphan.default.svc A', missing], ['_web.default.svc A', missing],
  // SRV of named ports, and CoreDNS's of the Service's name
  ['_http._tcp.web.default.svc SRV', 'SRV 0 100 80 web.default.svc.cluster.local. + web.default.svc.cluster.local. A 10.96.0.20'],
  ['_https._tcp.web.default.svc SRV', 'SRV 0 100 443 web.default.svc.cluster.local. + web.default.svc.cluster.local. A 10.96.0.20'],
  ['_HTTP._TCP.web.default.svc SRV', 'SRV 0 100 80 web.default.svc.cluster.local. + web.default.svc.cluster.local. A 10.96.0.20'],
  ['http.tcp.web.default.svc SRV', 'SRV 0 100 80 web.default.svc.cluster.local. + web.default.svc.cluster.local. A 10.96.0.20'],
  ['_http._udp.web.default.svc SRV', missing], ['_smtp._tcp.web.default.svc SRV', missing], ['_http._tcp.web.default.svc A', 'A 10.96.0.20'], ['_http._tcp.web.default.svc AAAA', nodata], ['_http._tcp.nothing.default.svc SRV', missing],
  ['web.default.svc SRV', 'SRV 0 50 80 web.default.svc.cluster.local., SRV 0 50 443 web.default.svc.cluster.local. + web.default.svc.cluster.local. A 10.96.0.20'],
  ['unnamed.default.svc SRV', 'SRV 0 100 8080 unnamed.default.svc.cluster.local. + unnamed.default.svc.cluster.local. A 10.96.0.21'], ['_._tcp.unnamed.default.svc SRV', 'SRV 0 100 8080 unnamed.default.svc.cluster.local. + unnamed.default.svc.cluster.local. A 10.96.0.21'],
  ['_dns._udp.kube-dns.kube-system.svc SRV', `SRV 0 100 53 ${kubeDns} + ${kubeDns} A 10.96.0.10`], ['_dns-tcp._tcp.kube-dns.kube-system.svc SRV', `SRV 0 100 53 ${kubeDns} + ${kubeDns} A 10.96.0.10`], ['_dns._tcp.kube-dns.kube-system.svc SRV', missing],
  ['_http._tcp.dual.default.svc SRV', 'SRV 0 50 80 dual.default.svc.cluster.local. + dual.default.svc.cluster.local. A 10.96.0.22, dual.default.svc.cluster.local. AAAA fd00:96::22'],
  ['_http._tcp.six.default.svc SRV', 'SRV 0 100 80 six.default.svc.cluster.local. + six.default.svc.cluster.local. AAAA fd00:96::23'],
  ['a._http._tcp.web.default.svc SRV', missing], ['a.b._http._tcp.web.default.svc A', missing],
  // Endpoints of ClusterIP Services
  ['10-244-1-5.web.default.svc A', 'A 10.244.1.5'], ['10-244-1-5.web.default.svc AAAA', nodata], ['10-244-1-7.web.default.svc A', missing], ['10-244-1-99.web.default.svc A', missing], ['10-244-1-5.web.other.svc A', 'A 10.244.1.5'],
  ['10-244-1-6.web.default.svc SRV', 'SRV 0 50 8080 10-244-1-6.web.default.svc.cluster.local., SRV 0 50 8443 10-244-1-6.web.default.svc.cluster.local. + 10-244-1-6.web.default.svc.cluster.local. A 10.244.1.6'],
  // Headless Services
  ['db.default.svc A', 'A 10.244.2.1, A 10.244.2.2'], ['db.default.svc AAAA', nodata], ['db-0.db.default.svc A', 'A 10.244.2.1'], ['DB-1.db.default.svc A', 'A 10.244.2.2'], ['db-2.db.default.svc A', missing], ['db-9.db.default.svc A', missing], ['10-244-2-1.db.default.svc A', missing], ['db-0.db.default.svc TXT', nodata],
  ['_peer._tcp.db.default.svc SRV', `SRV 0 50 15432 ${db('db-0')}, SRV 0 50 15432 ${db('db-1')} + ${db('db-0')} A 10.244.2.1, ${db('db-1')} A 10.244.2.2`],
  ['db.default.svc SRV', `SRV 0 50 15432 ${db('db-0')}, SRV 0 50 15432 ${db('db-1')} + ${db('db-0')} A 10.244.2.1, ${db('db-1')} A 10.244.2.2`],
  ['db-0.db.default.svc SRV', `SRV 0 100 15432 ${db('db-0')} + ${db('db-0')} A 10.244.2.1`], ['_peer._udp.db.default.svc SRV', missing],
  ['db6.default.svc AAAA', 'AAAA 2001:db8::1, AAAA 2001:db8::2, AAAA 2001:db8::'], ['db6.default.svc A', nodata], ['2001-db8--1.db6.default.svc AAAA', 'AAAA 2001:db8::1'], ['2001-db8--0.db6.default.svc AAAA', 'AAAA 2001:db8::'], ['db6-1.db6.default.svc AAAA', 'AAAA 2001:db8::2'], ['2001-db8--1.db6.default.svc A', nodata],
  ['mixed.default.svc A', 'A 10.244.3.1'], ['mixed.default.svc AAAA', 'AAAA 2001:db8:3::1'], ['m-0.mixed.default.svc A', 'A 10.244.3.1'], ['m-0.mixed.default.svc AAAA', 'AAAA 2001:db8:3::1'],
  ['_http._tcp.mixed.default.svc SRV', 'SRV 0 50 80 m-0.mixed.default.svc.cluster.local. + m-0.mixed.default.svc.cluster.local. A 10.244.3.1, m-0.mixed.default.svc.cluster.local. AAAA 2001:db8:3::1'],
  ['portless.default.svc A', 'A 10.244.4.1'], ['portless.default.svc SRV', nodata], ['10-244-4-1.portless.default.svc A', 'A 10.244.4.1'],
  ['down.default.svc A', missing], ['down.default.svc SRV', missing], ['10-244-5-1.down.default.svc A', missing],
  ['slices.default.svc A', 'A 10.244.6.1, A 10.244.6.2'], ['_extra._udp.slices.default.svc SRV', 'SRV 0 100 9 10-244-6-1.slices.default.svc.cluster.local. + 10-244-6-1.slices.default.svc.cluster.local. A 10.244.6.1'],
  ['_http._tcp.slices.default.svc SRV', 'SRV 0 50 8081 10-244-6-1.slices.default.svc.cluster.local., SRV 0 50 8082 10-244-6-2.slices.default.svc.cluster.local. + 10-244-6-1.slices.default.svc.cluster.local. A 10.244.6.1, 10-244-6-2.slices.default.svc.cluster.local. A 10.244.6.2'],
  ['many.default.svc A', Array.from({ length: 10 }, (_, i) => `A 10.244.9.${i + 1}`).join(', ')],
  ['same.default.svc A', 'A 10.244.7.1, A 10.244.7.2'], ['x.same.default.svc A', 'A 10.244.7.1, A 10.244.7.2'], ['10-244-7-1.same.default.svc A', 'A 10.244.7.1'],
  // ExternalName
  ['ext.default.svc CNAME', 'CNAME www.example.com.'], ['ext.default.svc A', 'CNAME www.example.com., www.example.com. A 198.51.100.1 @60'], ['ext-dot.default.svc A', 'CNAME www.example.com., www.example.com. A 198.51.100.1 @60'],
  ['EXT.default.svc AAAA', 'CNAME www.example.com.'], ['ext.default.svc TXT', 'CNAME www.example.com.'], ['ext.default.svc SRV', nodata], ['x.ext.default.svc A', missing],
  ['inside.default.svc A', 'CNAME web.default.svc.cluster.local., web.default.svc.cluster.local. A 10.96.0.20'], ['inside.default.svc AAAA', 'CNAME web.default.svc.cluster.local.'], ['inside.default.svc CNAME', 'CNAME web.default.svc.cluster.local.'],
  ['inside2.default.svc A', 'CNAME inside.default.svc.cluster.local., inside.default.svc.cluster.local. CNAME web.default.svc.cluster.local., web.default.svc.cluster.local. A 10.96.0.20'],
  ['inside-db.default.svc A', `CNAME ${db('db-0')}, ${db('db-0')} A 10.244.2.1`], ['inside-none.default.svc A', 'NXDOMAIN cluster.local. CNAME nothing.default.svc.cluster.local.'],
  ['loop.default.svc A', nodata], ['loop1.default.svc A', nodata], ['loop2.default.svc AAAA', nodata], ['anip.default.svc A', missing], ['anip.default.svc CNAME', missing], ['anip6.default.svc AAAA', missing],
  // Pods (insecure)
  ['10-244-1-5.default.pod A', 'A 10.244.1.5'], ['1-2-3-4.other.pod A', 'A 1.2.3.4'], ['1-2-3-4.other.pod AAAA', nodata], ['1-2-3-4.other.pod SRV', nodata], ['2001-db8--1.default.pod AAAA', 'AAAA 2001:db8::1'], ['2001-db8--1.default.pod A', nodata], ['--1.default.pod AAAA', 'AAAA ::1'],
  ['1-2-3-4.nowhere.pod A', missing], ['web.default.pod A', missing], ['1-2-3-256.default.pod A', missing], ['1-2-3.default.pod A', missing], ['01-2-3-4.default.pod A', missing], ['x.1-2-3-4.default.pod A', missing], ['_a._b.1-2-3-4.default.pod A', missing],
  // Reverse
  ['20.0.96.10.in-addr.arpa. PTR', 'PTR web.default.svc.cluster.local.'], ['20.0.96.10.IN-ADDR.ARPA. PTR', 'PTR web.default.svc.cluster.local.'], ['10.0.96.10.in-addr.arpa. PTR', `PTR ${kubeDns}`], ['20.0.96.10.in-addr.arpa. A', 'NODATA in-addr.arpa.'],
  ['1.2.244.10.in-addr.arpa. PTR', `PTR ${db('db-0')}`], ['3.2.244.10.in-addr.arpa. PTR', 'NXDOMAIN in-addr.arpa.'], ['6.1.244.10.in-addr.arpa. PTR', 'PTR 10-244-1-6.web.default.svc.cluster.local.'],
  ['5.1.244.10.in-addr.arpa. PTR', 'PTR 10-244-1-5.web.other.svc.cluster.local., PTR 10-244-1-5.web.default.svc.cluster.local.'],
  ['1.8.244.10.in-addr.arpa. PTR', 'NXDOMAIN in-addr.arpa.'], ['9.9.9.9.in-addr.arpa. PTR', 'NXDOMAIN in-addr.arpa.'], ['244.10.in-addr.arpa. PTR', 'NXDOMAIN in-addr.arpa.'], ['x.1.2.244.10.in-addr.arpa. PTR', 'NXDOMAIN in-addr.arpa.'], ['999.2.244.10.in-addr.arpa. PTR', 'NXDOMAIN in-addr.arpa.'],
  ['in-addr.arpa. PTR', 'NODATA in-addr.arpa.'], ['in-addr.arpa. SOA', 'SOA ns.dns.in-addr.arpa. hostmaster.in-addr.arpa. 1700000000 7200 1800 86400 30'], ['in-addr.arpa. NS', `NS ${kubeDns} + ${kubeDns} A 10.96.0.10`],
  ['2.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa. PTR', 'PTR dual.default.svc.cluster.local.'], ['2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.IP6.ARPA. PTR', 'PTR db6-1.db6.default.svc.cluster.local.'],
  ['3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR', 'NXDOMAIN ip6.arpa.'], ['8.b.d.0.1.0.0.2.ip6.arpa. PTR', 'NXDOMAIN ip6.arpa.'], ['ip6.arpa. A', 'NODATA ip6.arpa.'],
]
