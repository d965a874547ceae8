# SPDX-License-Identifier: GPL-2.0
#
# Data races, which KCSAN finds.

# KCSAN is on, and has watched accesses since the last time; what it has counted.
check_kcsan() {
	local kcsan watched
	kcsan=/sys/kernel/debug/kcsan
	grep -q '^enabled: 1$' $kcsan || { echo "KCSAN is off"; return 1; }
	watched=$(sed -n 's/^setup_watchpoints: //p' $kcsan)
	[ "$watched" -gt "$(cat /tmp/watched 2>/dev/null || echo 0)" ] || {
		echo "KCSAN watches nothing"
		return 1
	}
	echo "$watched" >/tmp/watched
	grep -E '^(setup_watchpoints|data_races|no_capacity|report_races|races_unknown_origin): ' $kcsan |
		tr '\n' ' '
}
