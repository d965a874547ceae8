# SPDX-License-Identifier: GPL-2.0
#
# What people report of virtio and sleep: snapshots, ports, bridges, files that are held.

# Loads the kernel and the initramfs of the host's folder for kexec, with the command line of this kernel
# but for the driver, whose words are $1. With --panic as $2, for the next panic: a crash kernel keeps no
# memory for another one.
load_kernel() {
	local words script='s/vmtest\.driver=[^ ]* *//; s/initcall_blacklist=[^ ]* *//'
	[ "$2" != --panic ] || script="$script; s/crashkernel=[^ ]* *//"
	words="$(sed "$script" /proc/cmdline) $1"
	mkdir -p /mnt/share
	mount -t 9p -o trans=virtio,version=9p2000.L share /mnt/share || return
	cp /mnt/share/kernel /mnt/share/initramfs /tmp/
	umount /mnt/share || return
	kexec load ${2:+"$2"} /tmp/kernel /tmp/initramfs "$words" && rm /tmp/kernel /tmp/initramfs
}

# The transport driver $1 has the devices in the slots that follow. One that is loaded may have none.
have_driver() {
	local name=virtio-pci slot link
	[ "$1" != rust ] || name=virtio_pci_rs
	shift
	for slot in "$@"; do
		pci=$(pci_of "$slot") || { echo "$pci"; return 1; }
		link=$(readlink "/sys/bus/pci/devices/$pci/driver")
		[ "${link##*/}" = $name ] || { echo "$pci has the driver ${link##*/}, not $name"; return 1; }
	done
}

# Writes numbered blocks to the disk in a slot and reads each back at once, until stopped. Needs nothing
# but BusyBox.
start_stamps() {
	local disk
	await 10 disk_of "$1" || return
	disk=$(disk_of "$1")
	rm -f /tmp/stamps /tmp/stamps-bad /tmp/stamps-stop
	(
		number=0
		while [ ! -e /tmp/stamps-stop ]; do
			number=$((number + 1))
			stamp $number >/tmp/stamp
			dd if=/tmp/stamp of="$disk" bs=16k seek=$((number % 64)) oflag=direct conv=notrunc
			is_stamped "$disk" $number || { echo $number >/tmp/stamps-bad; break; }
			echo $number >/tmp/stamps
		done
		rm -f /tmp/stamps-stop
	) </dev/null >/tmp/stamps-said 2>&1 &
	await 20 test -s /tmp/stamps
}

# The block with this number.
stamp() {
	yes "block $1" | head -c 16384
}

is_stamped() {
	dd if="$1" of=/tmp/stamp-read bs=16k skip=$(($2 % 64)) count=1 iflag=direct &&
		stamp "$2" | cmp - /tmp/stamp-read
}

# The number of the last block.
stamps() {
	[ ! -e /tmp/stamps-bad ] || { echo "block $(cat /tmp/stamps-bad) came back changed"; return 1; }
	cat /tmp/stamps
}

# More blocks than $1 are written.
stamps_pass() {
	[ ! -e /tmp/stamps-bad ] && [ "$(cat /tmp/stamps)" -gt "$1" ]
}

stamps_move() {
	local before
	before=$(stamps) || { echo "$before"; return 1; }
	await 60 stamps_pass $((before + 2)) || { cat /tmp/stamps-said; return 1; }
}

# Ends them; all blocks that were written last are on the disk in a slot.
stop_stamps() {
	local disk last number
	touch /tmp/stamps-stop
	await 20 fails test -e /tmp/stamps-stop || return
	last=$(stamps) || { echo "$last"; return 1; }
	disk=$(disk_of "$1") || { echo "$disk"; return 1; }
	number=$last
	while [ "$number" -gt 0 ] && [ "$number" -gt $((last - 64)) ]; do
		is_stamped "$disk" "$number" || { echo "block $number of $last is not there"; return 1; }
		number=$((number - 1))
	done
}

# A stream to the host's echo service and back that goes on and on, and answers of the host to one ping
# after the other.
start_streams() {
	local pipe=/tmp/stream-pipe
	net_up "$1" || return
	rm -f $pipe /tmp/stream-stop
	mkfifo $pipe
	: >/tmp/stream-back
	nc 10.0.2.100 7 <$pipe >/tmp/stream-back 2>/tmp/stream-said &
	(
		exec 4>$pipe
		number=0
		while [ ! -e /tmp/stream-stop ]; do
			number=$((number + 1))
			echo "line $number" >&4
			sleep 0.1
		done
	) </dev/null >/dev/null 2>&1 &
	ping -i 1 -W 5 10.0.2.2 </dev/null >/tmp/pings 2>&1 &
	echo $! >/tmp/ping-pid
	await 20 grep -q 'line 5$' /tmp/stream-back && await 20 grep -q 'seq=1 ' /tmp/pings
}

# The stream goes on in its order and nothing of it is lost.
stream_goes_on() {
	local lines
	lines=$(wc -l </tmp/stream-back)
	await 90 stream_passes $((lines + 5)) || {
		tail -n 3 /tmp/stream-back
		cat /tmp/stream-said
		return 1
	}
	awk '$0 != "line " NR { print "line " NR " is: " $0; exit 1 }' /tmp/stream-back
}

stream_passes() {
	[ "$(wc -l </tmp/stream-back)" -gt "$1" ]
}

# The same process gets answers of the host.
pings_go_on() {
	local answers
	kill -0 "$(cat /tmp/ping-pid)" || return
	answers=$(grep -c ' seq=' /tmp/pings)
	await 60 pings_pass "$answers" || { tail -n 3 /tmp/pings; return 1; }
}

pings_pass() {
	[ "$(grep -c ' seq=' /tmp/pings)" -gt "$1" ]
}

stop_streams() {
	touch /tmp/stream-stop
	kill "$(cat /tmp/ping-pid)"
	killall nc 2>/dev/null
	rm -f /tmp/ping-pid
}

# The disk in slot $1 has $2 sectors.
has_sectors() {
	local sectors
	find_disk "$1" || { echo "$disk"; return 1; }
	read -r sectors <"/sys/block/${disk#/dev/}/size"
	[ "$sectors" -eq "$2" ] || { echo "$disk has $sectors sectors, not $2"; return 1; }
}

# The carrier of the interface in slot $1 is $2.
has_carrier() {
	local carrier
	interface=$(interface_of "$1") || { echo "$interface"; return 1; }
	read -r carrier <"/sys/class/net/$interface/carrier"
	[ "$carrier" = "$2" ] || { echo "the carrier of $interface is $carrier, not $2"; return 1; }
}

# The port with this name, as /dev/vportNpM.
port_named() {
	local file
	for file in /sys/class/virtio-ports/*/name; do
		if [ "$(cat "$file" 2>/dev/null)" = "$1" ]; then
			file=${file%/name}
			echo "/dev/${file##*/}"
			return
		fi
	done
	echo "no port is named $1"
	return 1
}

# Writes to a port, whose host side takes it.
write_port() {
	local port
	port=$(port_named "$1") || { echo "$port"; return 1; }
	await 10 test -c "$port" && await 10 grep -q 'host_connected: 1' "/sys/kernel/debug/virtio-ports/${port#/dev/}" &&
		timeout $((20 * SLOWNESS)) sh -c "echo '$2' >$port"
}

# Holds a port open for as long as the process lives.
hold_port() {
	local port
	port=$(port_named "$1") || { echo "$port"; return 1; }
	sh -c 'exec 4<"$1" && exec sleep 10000' hold "$port" >/dev/null 2>&1 &
	echo $! >>/tmp/holders
}

end_holders() {
	local pid
	while read -r pid; do
		kill "$pid" 2>/dev/null
	done </tmp/holders
	rm /tmp/holders
}

# Holds each file in debugfs of the device in a slot open, each by a process that has read a part of it
# and reads the rest when it is let go.
hold_debugfs() {
	local file name
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	rm -f /tmp/let-go /tmp/held-*
	for file in /sys/kernel/debug/virtio_pci_rs/"$pci"/*; do
		name=${file##*/}
		(
			exec 7<"$file" || exit
			dd bs=8 count=1 <&7 >/dev/null 2>&1
			echo opened >"/tmp/held-$name"
			while [ ! -e /tmp/let-go ]; do sleep 0.2; done
			cat <&7 >"/tmp/held-$name.text" 2>&1
			echo $? >"/tmp/held-$name.status"
		) </dev/null >/dev/null 2>&1 &
		await 10 test -e "/tmp/held-$name" || return
	done
	await 10 test -e /tmp/held-journal
}

# They are read to the end, or that fails, and closed; nothing else happens.
let_go_debugfs() {
	local file
	touch /tmp/let-go
	for file in /tmp/held-*; do
		case $file in *.*) continue ;; esac
		await 20 test -s "$file.status" || return
	done
}

# The module is not removed while its files are open, or it is and they say that there is no device.
rmmod_with_held_debugfs() {
	local file said
	if said=$(rmmod "$(module_name)" 2>&1); then
		let_go_debugfs || return
		for file in /tmp/held-*.status; do
			if [ "$(cat "$file")" = 0 ] || ! grep -q 'No such device' "${file%.status}.text"; then
				echo "${file%.status}: status $(cat "$file")"
				return 1
			fi
		done
		return
	fi
	case $said in
	*"temporarily unavailable"* | *busy*) ;;
	*) echo "rmmod: $said"; return 1 ;;
	esac
	let_go_debugfs && unload_driver
}

# Puts the processor $1 on line, or takes it off: $2 is 1 or 0.
set_processor() {
	echo "$2" >"/sys/devices/system/cpu/cpu$1/online"
}

has_processors() {
	[ "$(nproc)" -eq "$1" ] || { echo "$(nproc) processors, not $1"; return 1; }
}

# Exactly $2 lines of the log are about the device in a slot, and one of them has the words $3.
log_says_times() {
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	kernel_log | grep "virtio.*$pci: " >/tmp/lines
	if [ "$(wc -l </tmp/lines)" -ne "$2" ] || ! grep -q "$3" /tmp/lines; then
		cat /tmp/lines
		echo "that is not $2 lines of $pci with: $3"
		return 1
	fi
}
