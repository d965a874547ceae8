# SPDX-License-Identifier: GPL-2.0
#
# Another kernel takes over.

# Loads the kernel and the initramfs of the host's folder for kexec, with the command line of this kernel
# but for the driver, whose words are $1. With --panic as $2, for the next panic: a crash kernel keeps no
# memory for another one.
load_kernel() {
	local words script='s/vmtest\.driver=[^ ]* *//; s/initcall_blacklist=[^ ]* *//'
	[ "$2" != --panic ] || script="$script; s/crashkernel=[^ ]* *//"
	words="$(sed "$script" /proc/cmdline) $1"
	mkdir -p /mnt/share
	mount -t 9p -o trans=virtio,version=9p2000.L share /mnt/share || return
	cp /mnt/share/kernel /mnt/share/initramfs /tmp/
	umount /mnt/share || return
	kexec load ${2:+"$2"} /tmp/kernel /tmp/initramfs "$words" && rm /tmp/kernel /tmp/initramfs
}

# The transport driver $1 has the devices in the slots that follow. One that is loaded may have none.
have_driver() {
	local pci
	local name=virtio-pci slot link
	[ "$1" != rust ] || name=virtio_pci_rs
	shift
	for slot in "$@"; do
		pci=$(pci_of "$slot") || { echo "$pci"; return 1; }
		link=$(readlink "/sys/bus/pci/devices/$pci/driver")
		[ "${link##*/}" = $name ] || { echo "$pci has the driver ${link##*/}, not $name"; return 1; }
	done
}
