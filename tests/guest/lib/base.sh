# SPDX-License-Identifier: GPL-2.0
#
# What every other part uses: waiting, skips, comparing.

# Waits until a command succeeds, at most $1 seconds, or longer on a slow kernel.
await() {
	local tries
	tries=$(($1 * 10 * SLOWNESS))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		if [ $tries -le 0 ]; then
			echo "did not come true: $*"
			return 1
		fi
		sleep 0.1
	done
}

# Ends the command, which cannot be tried for the reason $1: a skip and no failure. A command that goes on
# after that has no skip to tell.
lacks() {
	[ ! -e /tmp/modules-failed ] || { echo "a module of the kernel failed to load: $*"; exit 1; }
	echo "lacks: $*" >/tmp/lacks
	exit 77
}

# The file $1 has the word $2; one that is the choice at present stands in brackets.
has_word() {
	[ -r "$1" ] && tr -d '[]' <"$1" | grep -qw -e "$2"
}

# Succeeds when a command fails.
fails() {
	! "$@"
}

same_sum() {
	local received sent
	sent=$(sha256sum <"$1")
	received=$(sha256sum <"$2")
	[ "$sent" = "$received" ] || {
		echo "$(wc -c <"$1") bytes with sha256 $sent, came back as $(wc -c <"$2") with $received"
		return 1
	}
}

# Puts the processor $1 on line, or takes it off: $2 is 1 or 0.
set_processor() {
	echo "$2" >"/sys/devices/system/cpu/cpu$1/online"
}
