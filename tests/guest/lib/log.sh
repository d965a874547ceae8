# SPDX-License-Identifier: GPL-2.0
#
# What the driver has said: in the kernel log and in debugfs.

# What the kernel has said: go_to_sleep() moves it from the kernel's log to a file.
kernel_log() {
	cat /tmp/log 2>/dev/null
	dmesg
}

# What comes now is about the Rust driver.
needs_rust_driver() {
	# shellcheck disable=SC2153
	[ "$DRIVER" = rust ] || lacks "it is about virtio_pci_rs"
}

# The log of the Rust driver says $2 of the device in slot $1.
log_says() {
	local pci
	needs_rust_driver
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	kernel_log | grep -q "$pci: $2" || {
		kernel_log | grep "$pci"
		echo "the log does not say of $pci: $2"
		return 1
	}
}

# Exactly $2 lines of the log are about the device in a slot, and one of them has the words $3.
log_says_times() {
	local pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	kernel_log | grep "virtio.*$pci: " >/tmp/lines
	if [ "$(wc -l </tmp/lines)" -ne "$2" ] || ! grep -q "$3" /tmp/lines; then
		cat /tmp/lines
		echo "that is not $2 lines of $pci with: $3"
		return 1
	fi
}

# A file of the device in slot $1 in debugfs has a line like $3.
debugfs_says() {
	local pci
	needs_rust_driver
	has_word /proc/filesystems debugfs || lacks "this kernel has no debugfs"
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	grep -q "$3" "/sys/kernel/debug/virtio_pci_rs/$pci/$2" || {
		cat "/sys/kernel/debug/virtio_pci_rs/$pci/$2"
		echo "$2 does not say: $3"
		return 1
	}
}

# The journal of the device in slot $1 has an event with the name $2, and with $3 in its line if that is
# given.
journal_has() {
	debugfs_says "$1" journal "\] $2: .*$3"
}

# What the journal of the device in a slot has.
journal_of() {
	local pci
	pci=$(pci_of "$1") || return 0
	cat "/sys/kernel/debug/virtio_pci_rs/$pci/journal" 2>/dev/null || true
}
