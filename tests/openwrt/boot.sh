#!/bin/sh
# Become process 1 of an OpenWrt userland: boot.sh ROOT SCRATCH FILES
# ROOT is only read: all changes go to a tmpfs on SCRATCH, and FILES is copied over it. To be started in namespaces of its own
# (pid, mount, uts, ipc, cgroup, net) and without the capabilities that reach the machine's clock, log and modules.
set -e
root=$2/root
mount -t tmpfs -o mode=0755 openwrt "$2"
mkdir "$2/changes" "$2/work" "$root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/changes,workdir=$2/work" overlay "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" || echo "no cgroup2 here"
# Of the kernel's parameters only those of our namespaces can be changed.
mount --bind "$root/proc/sys" "$root/proc/sys"
for own in net kernel/hostname kernel/domainname; do
	mount --bind "$root/proc/sys/$own" "$root/proc/sys/$own"
done
mount -o remount,bind,ro "$root/proc/sys"
mount -t tmpfs -o mode=0755,size=512k,nosuid dev "$root/dev"
node() { # NAME MAJOR MINOR
	mknod -m 666 "$root/dev/$1" c "$2" "$3"
}
mkdir "$root/dev/pts" "$root/dev/net"
node null 1 3
node zero 1 5
node full 1 7
node random 1 8
node urandom 1 9
node tty 5 0
node net/tun 10 200
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
: >"$root/dev/console"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/tmp"
mkdir "$root/tmp/run" "$root/tmp/lock" "$root/tmp/state" "$root/tmp/sysinfo"
mkdir -m 1777 "$root/tmp/shm"
cp -a "$3/." "$root/"
cd "$root"
pivot_root . mnt
# "container" is procd's own switch for a machine without a watchdog.
exec chroot . /bin/sh -c 'umount -l /mnt; exec env -i container=netpath PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ /sbin/procd' \
	<dev/null >dev/console 2>&1
