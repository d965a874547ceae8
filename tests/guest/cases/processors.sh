# SPDX-License-Identifier: GPL-2.0
#
# Processors that are taken off line and put on.

has_processors() {
	[ "$(nproc)" -eq "$1" ] || { echo "$(nproc) processors, not $1"; return 1; }
}

# The next time that processor $1 comes on line, it fails at the step $2.
fail_processor() {
	local step
	step=$(sed -n "s|^ *\([0-9]*\): $2\$|\1|p" /sys/devices/system/cpu/hotplug/states)
	[ -n "$step" ] || { echo "no step $2 in /sys/devices/system/cpu/hotplug/states"; return 1; }
	echo "$step" >"/sys/devices/system/cpu/cpu$1/hotplug/fail"
}
