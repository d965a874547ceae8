# SPDX-License-Identifier: GPL-2.0
#
# Streams over the network that outlive sleeps.

# A stream to the host's echo service and back that goes on and on, and answers of the host to one ping
# after the other.
start_streams() {
	local number
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
	ping -i 1 -W 5 10.0.2.2 </dev/null >/tmp/stream-pings 2>&1 &
	echo $! >/tmp/ping-pid
	await 20 grep -q 'line 5$' /tmp/stream-back && await 20 grep -q 'seq=1 ' /tmp/stream-pings
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
stream_pings_go_on() {
	local answers
	kill -0 "$(cat /tmp/ping-pid)" || return
	answers=$(grep -c ' seq=' /tmp/stream-pings)
	await 60 stream_pings_pass "$answers" || { tail -n 3 /tmp/stream-pings; return 1; }
}

stream_pings_pass() {
	[ "$(grep -c ' seq=' /tmp/stream-pings)" -gt "$1" ]
}

stop_streams() {
	touch /tmp/stream-stop
	kill "$(cat /tmp/ping-pid)"
	killall nc 2>/dev/null
	rm -f /tmp/ping-pid
}
