# SPDX-License-Identifier: GPL-2.0
#
# Numbered blocks on a disk, each of which comes back.

# Writes numbered blocks to the disk in a slot and reads each back at once, until stopped. Needs nothing
# but BusyBox.
start_stamps() {
	local disk number
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
