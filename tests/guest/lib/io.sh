# SPDX-License-Identifier: GPL-2.0
#
# Input and output with the data checked, one function a device kind.

# Programs that are too big for the initramfs come on an NVMe disk.
mount_tools() {
	! grep -q ' /tools ' /proc/mounts || return 0
	[ -e /sys/bus/pci/drivers/nvme ] || lacks "this kernel has no NVMe, for the disk with fio"
	has_word /proc/filesystems ext4 || lacks "this kernel has no ext4, for the disk with fio"
	mount -t ext4 -o ro /dev/nvme0n1 /tools
}

# Sets $disk to the disk of the blk or scsi device in a slot, or to why there is none.
find_disk() {
	local pci virtio
	find_pci "$1" || { disk=$pci; return 1; }
	for disk in /sys/bus/pci/devices/"$pci"/virtio*/block/* \
		/sys/bus/pci/devices/"$pci"/virtio*/host*/target*/*/block/*; do
		disk=/dev/${disk##*/}
		# sysfs has it before devtmpfs: a file of that name would be in the node's place.
		[ ! -b "$disk" ] || return 0
	done
	# find_virtio sets it.
	# shellcheck disable=SC2154
	! find_virtio "$1" || needs_virtio_driver "$virtio"
	disk="no disk on $pci"
	return 1
}

disk_of() {
	local disk found
	find_disk "$1"
	found=$?
	echo "$disk"
	return $found
}

# Takes the place of the (sub)shell that calls it. On arm64, fio's own clock is the processor's counter,
# which starts again in the machine that resumes an image: fio then stands still or ends.
run_fio() {
	exec fio --allow_file_create=0 --clocksource=clock_gettime --ioengine=libaio --direct=1 --iodepth=8 \
		--rw=randwrite --bsrange=4k-64k --verify=crc32c --verify_fatal=1 --output-format=terse "$@"
}

# Writes $2 bytes to the disk and reads them back, checksums in each block.
check_disk() {
	mount_tools || return
	await 10 disk_of "$1" || return
	(run_fio --name=check --filename="$(disk_of "$1")" --size="$2" --do_verify=1)
}

check_blk() {
	check_disk "$1" 2m
}

# The kernel is told not to look at 256 targets at each probe; the disk is target 0.
scan_scsi() {
	local host pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	for host in /sys/bus/pci/devices/"$pci"/virtio*/host*; do
		disk_of "$1" >/dev/null || echo "0 0 0" >"$host/scsi_host/$(basename "$host")/scan"
	done
}

check_scsi() {
	scan_scsi "$1" && check_disk "$1" 2m
}

# Every hardware queue of a disk carries requests.
check_blk4() {
	local cpu disk expected queues
	check_disk "$1" 2m || return
	disk=$(basename "$(disk_of "$1")")
	expected=$(nproc)
	[ "$expected" -le 4 ] || expected=4
	# shellcheck disable=SC2012
	queues=$(ls "/sys/block/$disk/mq" | wc -l)
	[ "$queues" -eq "$expected" ] || { echo "$queues queues, not $expected"; return 1; }
	cpu=0
	while [ $cpu -lt "$expected" ]; do
		taskset -c $cpu dd if="/dev/$disk" of=/dev/null bs=4k count=4 iflag=direct || return
		cpu=$((cpu + 1))
	done
}

interface_of() {
	local pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	# shellcheck disable=SC2010
	ls "/sys/bus/pci/devices/$pci"/virtio*/net 2>/dev/null | grep . || { echo "no interface on $pci"; return 1; }
}

net_up() {
	local interface
	interface=$(interface_of "$1") || { echo "$interface"; return 1; }
	ip link set lo up
	ip link set "$interface" up || return
	ip addr replace 10.0.2.15/24 dev "$interface"
}

# Pings the host side and sends a file to its echo service and back.
check_net() {
	net_up "$1" || return
	ping -c 2 -i 0.2 -W 5 10.0.2.2 || return
	head -c 262144 /dev/urandom >/tmp/net-sent
	nc 10.0.2.100 7 </tmp/net-sent | head -c 262144 >/tmp/net-received
	same_sum /tmp/net-sent /tmp/net-received
}

port_of() {
	local pci
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	# shellcheck disable=SC2010
	ls "/sys/bus/pci/devices/$pci"/virtio*/virtio-ports 2>/dev/null | grep . || { echo "no port on $pci"; return 1; }
}

# The host side of the port sends back what it gets.
check_console() {
	local port reader
	await 10 port_of "$1" || return
	port=/dev/$(port_of "$1")
	await 10 test -c "$port" || return
	await 10 grep -q 'host_connected: 1' "/sys/kernel/debug/virtio-ports/${port#/dev/}" || return
	head -c 65536 /dev/urandom >/tmp/port-sent
	exec 4<>"$port" || return
	timeout $((20 * SLOWNESS)) head -c 65536 <&4 >/tmp/port-received &
	reader=$!
	timeout $((20 * SLOWNESS)) cat /tmp/port-sent >&4
	wait $reader
	exec 4>&-
	same_sum /tmp/port-sent /tmp/port-received
}

# The serial port of the console sends back what it gets. The reader ends by itself if nothing comes
# for 20 seconds: the timeout of BusyBox leaves a process behind that has the terminal open for
# another second. A terminal that is open when its device goes is handed out again, for the next
# device, and then the reader is not told of input.
check_hvc() {
	local reader
	[ -e "/sys/bus/pci/devices/$(pci_of "$1")/driver" ] || { echo "no driver in slot $1"; return 1; }
	exec 4<>/dev/hvc0 || return
	stty -F /dev/hvc0 raw -echo min 0 time 200 || { exec 4>&-; return 1; }
	head -c 1024 /dev/urandom | hexdump -v -e '1/1 "%02x"' >/tmp/hvc-sent
	head -c 2048 <&4 >/tmp/hvc-received &
	reader=$!
	cat /tmp/hvc-sent >&4
	wait $reader
	exec 4>&-
	same_sum /tmp/hvc-sent /tmp/hvc-received
}

# The kernel's random source is this device, and it gives bytes that are not all alike.
check_rng() {
	local kinds source
	source=virtio_rng
	await 10 grep -q "^$source" /sys/class/misc/hw_random/rng_current || return
	timeout $((20 * SLOWNESS)) head -c 512 /dev/hwrng >/tmp/random || return
	[ "$(wc -c </tmp/random)" -eq 512 ] || { echo "short read"; return 1; }
	kinds=$(hexdump -v -e '1/1 "%02x\n"' /tmp/random | sort -u | wc -l)
	[ "$kinds" -gt 64 ] || { echo "only $kinds different bytes in 512"; return 1; }
}

memory_total() {
	awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo
}

mount_9p() {
	mkdir -p /mnt/9p
	grep -q ' /mnt/9p ' /proc/mounts ||
		mount -t 9p -o trans=virtio,version=9p2000.L,cache=none share /mnt/9p
}

# Reads the host's file and writes it back; the host compares, and so does the guest.
check_9p() {
	local result
	mkdir -p /mnt/share
	mount -t 9p -o trans=virtio,version=9p2000.L share /mnt/share || return
	cp /mnt/share/host /tmp/share-host && cp /tmp/share-host /mnt/share/guest && sync &&
		same_sum /tmp/share-host /mnt/share/guest
	result=$?
	umount /mnt/share || return
	return $result
}

# A little input and output with a device of a kind in a slot.
small_io() {
	local disk
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

# Keeps a device busy, one process that goes on until its device is gone or end_busy. The commands are
# for the shell of that process.
# shellcheck disable=SC2016
keep_busy() {
	local kind slot
	kind=$1 slot=$2
	case $kind in
	blk | blk4 | scsi)
		[ "$kind" != scsi ] || scan_scsi "$slot"
		await 10 disk_of "$slot" || return
		# Opened once: when the disk is gone, its name would make a file.
		exec 4<>"$(disk_of "$slot")" || return
		busy /proc/self/fd/4 'dd if="$1" of=/dev/null bs=64k count=64 iflag=direct &&
			dd if=/dev/zero of="$1" bs=64k count=64 oflag=direct'
		exec 4>&-
		;;
	net)
		net_up "$slot" || return
		busy 10.0.2.2 'ping -c 1 -s 8000 -W 10 "$1" && head -c 262144 /dev/zero | nc 10.0.2.100 7 | head -c 262144'
		;;
	console)
		await 10 port_of "$slot" || return
		# Opened once: when the port is gone, its name would make a file.
		exec 4<>"/dev/$(port_of "$slot")" || return
		busy 4 'head -c 65536 /dev/zero >&"$1"'
		exec 4>&-
		;;
	rng) busy /dev/hwrng 'head -c 4096 "$1"' ;;
	*) echo "do not know how to keep $kind busy"; return 1 ;;
	esac
}

# Repeats a command on $1 until it fails.
busy() {
	rm -f "/tmp/busy-$slot"
	setsid sh -c "while { $2; } >/dev/null 2>&1; do echo; done" busy "$1" </dev/null >"/tmp/busy-$slot" 2>&1 &
	echo $! >>/tmp/busy
	await 10 test -s "/tmp/busy-$slot"
}

end_busy() {
	local leader
	while read -r leader; do
		kill -9 "-$leader" 2>/dev/null
	done </tmp/busy
	rm /tmp/busy
}
