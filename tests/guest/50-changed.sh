# SPDX-License-Identifier: GPL-2.0
#
# Devices that could not be restored.

# The device in a slot was disconnected, its virtio device is gone, and the kernel log says why.
check_disconnected() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	await 20 fails virtio_of "$1" || return
	for text in "offered features 0x[0-9a-f]* lack 0x20000000 of the accepted" "disconnected and taken from"; do
		dmesg | grep -q "$pci: $text" || {
			dmesg | grep "$pci"
			echo "the log does not say of $pci: $text"
			return 1
		}
	done
}

# One of the devices was disconnected since the boot.
check_is_disconnected() {
	dmesg | grep -q "disconnected and taken from" || { echo "nothing was disconnected"; return 1; }
}
