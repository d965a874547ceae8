# SPDX-License-Identifier: GPL-2.0
#
# Files in debugfs that are open while their device or the module goes.

# Holds each file in debugfs of the device in a slot open, each by a process that has read a part of it
# and reads the rest when it is let go.
hold_debugfs() {
	local file name pci
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
