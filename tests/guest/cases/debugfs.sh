# SPDX-License-Identifier: GPL-2.0
#
# Files in debugfs that are read while devices come and go.

# Reads all files of all devices in debugfs, over and over, until stopped.
start_debugfs_reader() {
	rm -f /tmp/debugfs-stop
	(
		while [ ! -e /tmp/debugfs-stop ]; do
			cat /sys/kernel/debug/virtio_pci_rs/*/* >/dev/null 2>&1
		done
		rm /tmp/debugfs-stop
	) </dev/null >/dev/null 2>&1 &
}

stop_debugfs_reader() {
	touch /tmp/debugfs-stop
	await 20 fails test -e /tmp/debugfs-stop
}
