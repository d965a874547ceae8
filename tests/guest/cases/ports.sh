# SPDX-License-Identifier: GPL-2.0
#
# Ports of virtio_console.

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
