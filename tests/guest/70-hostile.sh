# SPDX-License-Identifier: GPL-2.0
#
# Devices that lie: what is tried with them ends in a bounded time, or that is what is told.

# Runs a command for at most $1 seconds and tells how that went: ok, fails or hangs.
bounded() {
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
	virtio=$(virtio_of "$1") || { echo gone; return; }
	if [ -e "/sys/bus/virtio/devices/$virtio/driver" ]; then
		echo live
	else
		echo refused
	fi
}

# Has the device in a slot asked for its status, if it has a virtio device.
read_status() {
	virtio=$(virtio_of "$1") || return 0
	cat "/sys/bus/virtio/devices/$virtio/status"
}

# A little input and output with a device of a kind in a slot.
small_io() {
	case $1 in
	# More than the drivers above have in stock.
	rng) [ "$(head -c 4096 /dev/hwrng | wc -c)" = 4096 ] ;;
	disk)
		disk=$(disk_of "$2") || return
		head -c 65536 /dev/urandom >/tmp/disk-sent
		dd if=/tmp/disk-sent of="$disk" bs=64k count=1 oflag=direct || return
		dd if="$disk" of=/tmp/disk-received bs=64k count=1 iflag=direct || return
		same_sum /tmp/disk-sent /tmp/disk-received
		;;
	console) check_hvc "$2" ;;
	esac
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
	for name in panic_on_warn panic_on_oops hung_task_panic softlockup_panic; do
		echo 0 >/proc/sys/kernel/$name
	done
}
