# SPDX-License-Identifier: GPL-2.0
#
# A disk that dies with requests in flight.

# Has requests in flight on the disk in a slot for as long as it answers.
start_reads() {
	local disk
	mount_tools && disk=$(disk_of "$1") || return
	fio --name=reads --filename="$disk" --ioengine=libaio --direct=1 --bs=4k --rw=randread \
		--iodepth=4 --size=32m --time_based --runtime=1000 </dev/null >/tmp/fio 2>&1 &
	await 20 is_reading "$disk"
}

is_reading() {
	local reads
	read -r reads _ <"/sys/block/${1#/dev/}/stat"
	[ "$reads" -gt 100 ]
}

# All the requests of start_reads on the disk in a slot are in flight.
reads_wait() {
	local disk reads
	disk=$(disk_of "$1") || return
	read -r reads _ <"/sys/block/${disk#/dev/}/inflight"
	[ "$reads" -eq 4 ]
}
