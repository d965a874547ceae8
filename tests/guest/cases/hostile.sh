# SPDX-License-Identifier: GPL-2.0
#
# Devices that lie: what is tried with them ends in a bounded time, or that is what is told.

# Runs a command for at most $1 seconds and tells how that went: ok, fails or hangs.
bounded() {
	local limit
	limit=$(($1 * 10))
	shift
	rm -f /tmp/bounded-status
	(
		"$@" >/tmp/bounded-output 2>&1
		echo $? >/tmp/bounded-status
	) </dev/null >/dev/null 2>&1 &
	while [ ! -s /tmp/bounded-status ]; do
		limit=$((limit - 1))
		if [ $limit -le 0 ]; then
			kill -9 $!
			echo hangs
			return
		fi
		sleep 0.1
	done
	case $(cat /tmp/bounded-status) in
	0) echo ok ;;
	77) exit 77 ;;
	*) echo fails ;;
	esac
}

# What has become of the device in a slot: live, refused or gone.
state_of() {
	local virtio
	virtio=$(virtio_of "$1") || { echo gone; return; }
	if [ -e "/sys/bus/virtio/devices/$virtio/driver" ]; then
		echo live
	else
		echo refused
	fi
}

# Has the device in a slot asked for its status, if it has a virtio device.
read_status() {
	local virtio
	virtio=$(virtio_of "$1") || return 0
	cat "/sys/bus/virtio/devices/$virtio/status"
}

# Goes to sleep as far as the devices, and back; a failure of a device is no failure of this.
sleep_once() {
	needs_pm_test "$1" devices
	[ "$1" = mem ] || echo platform >/sys/power/disk
	echo devices >/sys/power/pm_test
	go_to_sleep "$1"
	echo none >/sys/power/pm_test
}

# Lets the kernel live on after what it would otherwise stop at: the log tells.
go_on_after_splats() {
	local name
	for name in panic_on_warn panic_on_oops hung_task_panic softlockup_panic; do
		echo 0 >/proc/sys/kernel/$name
	done
}
