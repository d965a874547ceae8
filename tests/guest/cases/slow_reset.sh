# SPDX-License-Identifier: GPL-2.0
#
# A first reset that takes seconds.

# The virtio device in a slot has this device status.
has_status() {
	local virtio
	find_virtio "$1" && [ $(($(cat "/sys/bus/virtio/devices/$virtio/status"))) -eq $(($2)) ]
}
