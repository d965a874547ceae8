# SPDX-License-Identifier: GPL-2.0
#
# Interrupt handlers that are tasks.

# The number $1 of devices have an interrupt handler that is a task.
check_threaded() {
	local count
	count=$(sed -n 's/^irq\/[0-9]*-\(virtio[0-9]*\).*/\1/p' /proc/[0-9]*/comm 2>/dev/null |
		sort -u | wc -l)
	[ "$count" -eq "$1" ] || { echo "$count devices have such a handler, not $1"; return 1; }
}
