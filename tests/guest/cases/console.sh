# SPDX-License-Identifier: GPL-2.0
#
# A terminal that does not answer while it is written to.

# Sets the command register of the device in slot $1, by which it answers at its I/O ports or not.
set_command() {
	local pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	printf %b "$2" | dd of="/sys/bus/pci/devices/$pci/config" bs=1 seek=4 conv=notrunc 2>/dev/null
}

# Writes to the terminal of the device in slot $1 while it does not answer.
write_while_deaf() {
	set_command "$1" '\0006' && echo lost >/dev/hvc0
	set_command "$1" '\0007'
}
