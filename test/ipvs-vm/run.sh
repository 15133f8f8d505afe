#!/usr/bin/env bash
# run.sh COMMAND [ARG...]
# Runs a command in a throw-away virtual machine that has Debian's kernel, and with it IPVS, SCTP and
# all that a machine's own kernel may lack. Its root is this machine's, read-only under a tmpfs, so that
# everything installed here is there at the same path, and whatever the command changes is gone after.
# stdout, stderr and the exit status come back. See README.md.
#   FAIRWAY_VM_TIMEOUT=300   seconds until it is stopped      FAIRWAY_VM_MEMORY=1536   MiB
#   FAIRWAY_VM_CACHE         where kernel and tools are kept  FAIRWAY_VM_VERBOSE=1     the kernel's messages too
# Exit status 77: it cannot run on this machine, and why is on stderr. 125: the machine ended before the command.
set -euo pipefail
cache=${FAIRWAY_VM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/fairway/ipvs-vm}
[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cannot() { echo "run.sh: $*" >&2; exit 77; }

[ "$(uname -m)" = x86_64 ] || cannot "the virtual machine runs this machine's programs, and so far only those of amd64"
command -v qemu-system-x86_64 >/dev/null || cannot "qemu-system-x86_64 is missing: apt-get install --no-install-recommends qemu-system-x86"
for tool in flock dpkg-deb apt-get; do command -v "$tool" >/dev/null || cannot "$tool is missing: this needs a Debian or Ubuntu"; done

# Packages are downloaded and unpacked, not installed. kmod's modprobe reads binary indexes; busybox's
# would parse megabytes of text on every call, which takes an emulated processor long.
unpack() { # FOLDER PACKAGE...
  local folder=$1 package; shift
  [ -d "$cache/$folder" ] && return
  rm -rf "$cache/$folder.part" "$cache/debs"; mkdir -p "$cache/$folder.part" "$cache/debs"
  for package in "$@"; do
    (cd "$cache/debs" && apt-get download "$package" >/dev/null 2>"$cache/apt.log") ||
      cannot "cannot download the package $package: run apt-get update and see $cache/apt.log"
  done
  for package in "$cache"/debs/*.deb; do dpkg-deb -x "$package" "$cache/$folder.part"; done
  rm -rf "$cache/debs"; mv "$cache/$folder.part" "$cache/$folder"
}

kernel_package() { # the one that Debian's metapackage names; its -cloud- kernels have no 9p
  local found
  found=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
  [ -n "$found" ] || found=$(apt-cache depends linux-image-generic 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
  [ -n "$found" ] || cannot "no kernel package is known: run apt-get update"
  echo "$found"
}

# An uncompressed kernel boots in a third of the time. It is the payload of the bzImage (Documentation/arch/x86/boot.rst:
# setup_sects at 0x1f1, payload_offset and payload_length at 0x248), less the four bytes of its size at the end.
extract_kernel() { # VMLINUZ VMLINUX
  local sectors offset length
  sectors=$(od -An -tu1 -j$((0x1f1)) -N1 "$1")
  read -r offset length < <(od -An -tu4 -j$((0x248)) -N8 "$1")
  head -c $(((sectors + 1) * 512 + offset + length - 4)) "$1" | tail -c $((length - 4)) | "$cache/tools/usr/bin/xz" -dc --single-stream >"$2.part"
  mv "$2.part" "$2"
}

# What it takes to reach the machine's root: the modules for that, in order, and a script.
boot_modules='crc32c_generic virtio_pci 9pnet_virtio 9p virtio_console overlay'
module_order() { # MODULE: the files that it needs, itself last
  local line file
  line=$(grep -E "/${1//_/[-_]}\.ko[^:]*:" "$modules/modules.dep") || return 0 # built in
  for file in $(echo "${line#*:}" | tr ' ' '\n' | tac) "${line%%:*}"; do echo "$file"; done
}
make_initramfs() {
  local root=$cache/initramfs module file
  rm -rf "$root"; mkdir -p "$root"/{bin,proc,sys,dev,host,rw,root,modules}
  cp "$cache/tools/bin/busybox" "$root/bin/"
  for module in $boot_modules; do module_order "$module"; done | awk '!seen[$0]++' | while read -r file; do
    cp "$modules/$file" "$root/modules/"; basename "$file"
  done >"$root/modules/order"
  cat >"$root/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sysfs /sys; $b mount -t devtmpfs dev /dev
for module in $($b cat /modules/order); do $b insmod /modules/$module || echo "cannot load $module"; done
options=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o ro,$options,cache=loose machine /host || { echo 'cannot mount the root'; $b reboot -f; }
$b mount -t tmpfs -o size=75% tmpfs /rw; $b mkdir /rw/upper /rw/work
$b mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /root
cd /root
$b mkdir -p run tmp dev proc sys
$b mount -t tmpfs -o mode=755 run run; $b mkdir -p run/netns run/lock run/vm
$b mount -t 9p -o $options,cache=none exchange run/vm
$b mount --move /proc proc; $b mount --move /sys sys; $b mount --move /dev dev
exec $b chroot /root /bin/bash /run/vm/guest
INIT
  chmod +x "$root/init"
  (cd "$root" && find . -mindepth 1 | "$cache/tools/bin/busybox" cpio -o -H newc 2>/dev/null) >"$cache/initrd.part"
  mv "$cache/initrd.part" "$cache/initrd"; rm -rf "$root"
}

prepare() {
  mkdir -p "$cache"
  unpack tools busybox-static kmod libkmod2 xz-utils
  unpack kernel "$(kernel_package)"
  version=$(ls "$cache/kernel/lib/modules"); modules=$cache/kernel/lib/modules/$version
  rm -rf "$cache/kernel/usr" "$modules"/kernel/sound "$modules"/kernel/drivers/{gpu,media,infiniband,scsi,iio,hid,usb,staging,mmc,isdn,net/{ethernet,wireless}}
  if [ ! -e "$modules/modules.dep.bin" ]; then
    ln -sf kmod "$cache/tools/bin/depmod"
    LD_LIBRARY_PATH=$cache/tools/lib/x86_64-linux-gnu:$cache/tools/usr/lib/x86_64-linux-gnu "$cache/tools/bin/depmod" -b "$cache/kernel" "$version"
  fi
  [ -e "$cache/vmlinux" ] || extract_kernel "$cache/kernel/boot/vmlinuz-$version" "$cache/vmlinux"
  [ "$cache/initrd" -nt "$0" ] || make_initramfs
}
mkdir -p "$cache"
exec 9>"$cache/lock"; flock 9; prepare; flock -u 9; exec 9>&-

exchange=$(mktemp -d "${TMPDIR:-/tmp}/fairway-vm.XXXXXX")
trap 'rm -rf "$exchange"' EXIT
{
  cat <<GUEST
for port in /sys/class/virtio-ports/*; do ln -sf /dev/\$(basename \$port) /dev/\$(cat \$port/name); done
mkdir -p /dev/pts /dev/shm /lib/modules/$version
mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm
[ ! -d /sys/fs/cgroup ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
[ ! -d /sys/fs/bpf ] || mount -t bpf bpf /sys/fs/bpf
mount --bind $cache/kernel/lib/modules/$version /lib/modules/$version
[ -e /sbin/modprobe ] || {
  for name in modprobe insmod lsmod rmmod; do ln -s $cache/tools/bin/kmod /sbin/\$name; done
  echo $cache/tools/lib/x86_64-linux-gnu > /etc/ld.so.conf.d/fairway-vm.conf; echo $cache/tools/usr/lib/x86_64-linux-gnu >> /etc/ld.so.conf.d/fairway-vm.conf; ldconfig; }
ln -sf /proc/self/fd /dev/fd; ln -sf fd/0 /dev/stdin; ln -sf fd/1 /dev/stdout; ln -sf fd/2 /dev/stderr
hostname ipvs-vm; ip link set lo up
GUEST
  printf 'export FAIRWAY_VM=1 PATH=%q HOME=%q TERM=dumb\n' "$PATH" "${HOME:-/root}"
  for name in ${FAIRWAY_VM_ENV:-}; do [ -z "${!name+set}" ] || printf 'export %s=%q\n' "$name" "${!name}"; done
  printf 'cd %q || cd /\n(' "$PWD"
  printf ' %q' "$@"
  printf ' ) </dev/null >/dev/vm.out 2>/dev/vm.err\n'
  printf 'echo $? > /run/vm/status; sync /run/vm/status; exec %q reboot -f\n' "$cache/tools/bin/busybox"
} >"$exchange/guest"

# ONE virtual processor: with more, an emulated machine spends its time on interrupts between them (measured: five times slower).
quiet='loglevel=3 quiet'; [ -z "${FAIRWAY_VM_VERBOSE:-}" ] || quiet=loglevel=7
share() { echo "-fsdev local,id=$1,path=$2,security_model=none,multidevs=remap$3 -device virtio-9p-pci,fsdev=$1,mount_tag=$1"; }
status=0
# shellcheck disable=SC2046
timeout "${FAIRWAY_VM_TIMEOUT:-300}" qemu-system-x86_64 -M pc,usb=off,vmport=off -no-hpet -accel tcg,tb-size=256 -cpu max -smp 1 -m "${FAIRWAY_VM_MEMORY:-1536}" \
  -nodefaults -no-user-config -nographic -no-reboot -kernel "$cache/vmlinux" -initrd "$cache/initrd" \
  -append "console=ttyS0 $quiet panic=-1 reboot=t mitigations=off audit=0 selinux=0 apparmor=0 random.trust_cpu=on nokaslr tsc=reliable no_timer_check cgroup_no_v1=all rcupdate.rcu_expedited=1 cryptomgr.notests 8250.nr_uarts=1" \
  -chardev "file,id=console,path=$exchange/console" -serial chardev:console \
  $(share machine / ,readonly=on) $(share exchange "$exchange" '') -device virtio-serial-pci \
  -chardev file,id=out,path=/dev/fd/1,append=on -device virtserialport,chardev=out,name=vm.out \
  -chardev file,id=err,path=/dev/fd/2,append=on -device virtserialport,chardev=err,name=vm.err \
  </dev/null > >(exec cat) 2> >(exec cat >&2) || status=$?
[ -z "${FAIRWAY_VM_VERBOSE:-}" ] || cat "$exchange/console" >&2
[ -e "$exchange/status" ] || { echo "run.sh: the virtual machine ended (qemu: $status; 124 is the timeout) before the command did. Its last words:" >&2; tail -20 "$exchange/console" >&2; exit 125; }
exit "$(cat "$exchange/status")"
