# SPDX-License-Identifier: GPL-2.0
#
# Processors that are taken off line and put on.

has_processors() {
	[ "$(nproc)" -eq "$1" ] || { echo "$(nproc) processors, not $1"; return 1; }
}
