# SPDX-License-Identifier: GPL-2.0
#
# Devices that are not what they were when the machine was hibernated.

# This machine was resumed from an image since it was booted.
has_hibernated() {
	kernel_log | grep -q "hibernation exit" || { echo "not the machine that was hibernated"; return 1; }
}
