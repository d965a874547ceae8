# SPDX-License-Identifier: GPL-2.0
#
# Every allocation fails once.

# Functions that are called set some of the local variables.
# shellcheck disable=SC2034

# From now on the allocations of one kind fail when failnth says so: of slab, or of pages. With
# "driver" as $2, only those that are made below the functions of the driver under test.
fail_allocations() {
	local attributes end pages reject reject_end size slab start
	slab=/sys/kernel/debug/failslab pages=/sys/kernel/debug/fail_page_alloc
	start=0 end=0xffffffffffffffff
	if [ "$2" = driver ]; then
		start=$(awk -v name="$(module_name)" '$1 == name { print $6 }' /proc/modules)
		size=$(awk -v name="$(module_name)" '$1 == name { print $2 }' /proc/modules)
		[ -n "$start" ] || { echo "the driver is not loaded"; return 1; }
		end=$(printf '0x%x' $((start + size)))
	fi
	# The kernel warns if it cannot store the descriptor of an interrupt; and it does not look whether it
	# could make the files of one in /proc, and warns when it removes them.
	reject=$(awk '$3 == "__irq_domain_alloc_irqs" { print "0x" $1 }' /proc/kallsyms)
	reject_end=$(awk '$3 == "unregister_irq_proc" { print "0x" $1 }' /proc/kallsyms)
	if [ $((reject)) -eq 0 ] || [ $((reject_end - reject)) -le 0 ]; then
		echo "__irq_domain_alloc_irqs() does not come before unregister_irq_proc()"
		return 1
	fi
	for attributes in $slab $pages; do
		echo 0 >"$attributes/probability"
		echo "$reject" >"$attributes/reject-start"
		echo "$reject_end" >"$attributes/reject-end"
		echo -1 >"$attributes/times"
		echo 1 >"$attributes/verbose"
		echo N >"$attributes/ignore-gfp-wait"
		echo 32 >"$attributes/stacktrace-depth"
		echo "$start" >"$attributes/require-start"
		echo "$end" >"$attributes/require-end"
	done
	echo N >$pages/ignore-gfp-highmem
	# No cache is marked for the filter, and no allocation is as big as this order.
	case $1 in
	slab) echo N >$slab/cache-filter && echo 64 >$pages/min-order ;;
	pages) echo Y >$slab/cache-filter && echo 0 >$pages/min-order ;;
	esac
}

# The device in a slot works, and if it does not, it does after it is bound again.
mend_device() {
	local driver pci virtio
	is_live "$1" >/dev/null && return
	pci=$(pci_of "$1") || { echo "$pci"; return 1; }
	driver=$(pci_driver)
	[ ! -e "/sys/bus/pci/devices/$pci/driver" ] || echo "$pci" >"$driver/unbind" || return
	echo "$pci" >"$driver/bind" || return
	is_live "$1"
}

# The directory of the PCI driver under test.
pci_driver() {
	echo "/sys/module/$(module_name)/drivers/pci:"*
}

# Binds the device in slot $2 with its $1-th allocation failing. Says what failnth says.
fail_bind() {
	local driver pci said
	pci=$(pci_of "$2") || { echo "$pci"; return 1; }
	driver=$(pci_driver)
	echo "$pci" >"$driver/unbind" || return
	said=$(failnth "$1" write "$driver/bind" "$pci") || { echo "$said"; return 1; }
	mend_device "$2" && echo "$said"
}

# Unbinds the device in slot $2 with its $1-th allocation failing.
fail_unbind() {
	local driver pci said
	pci=$(pci_of "$2") || { echo "$pci"; return 1; }
	driver=$(pci_driver)
	said=$(failnth "$1" write "$driver/unbind" "$pci") || { echo "$said"; return 1; }
	mend_device "$2" && echo "$said"
}

# Has the PCI core reset the disk in slot $2, while it is read and written, with its $1-th allocation
# failing.
fail_reset() {
	local pci said
	pci=$(pci_of "$2") || { echo "$pci"; return 1; }
	keep_busy blk "$2" || return
	said=$(failnth "$1" write "/sys/bus/pci/devices/$pci/reset" 1) || { echo "$said"; return 1; }
	end_busy
	mend_device "$2" && echo "$said"
}

# Loads the module with its $1-th allocation failing; the devices in the other slots are to work
# in the end.
fail_insmod() {
	local nth said slot
	nth=$1
	shift
	# shellcheck disable=SC2153
	said=$(failnth "$nth" insmod "/modules/$DRIVER/$(tail -n 1 "/modules/$DRIVER/order")") || { echo "$said"; return 1; }
	ensure_loaded || return
	for slot; do
		mend_device "$slot" || return
	done
	unload_driver && echo "$said"
}

# Removes the module with its $1-th allocation failing.
fail_rmmod() {
	local said
	load_driver || return
	said=$(failnth "$1" rmmod "$(module_name)") || { echo "$said"; return 1; }
	ensure_unloaded && echo "$said"
}

# Goes to the state $2 as far as the test level "devices", with the $1-th allocation failing; the
# devices in the other slots are to work in the end.
fail_sleep() {
	local nth said state
	nth=$1 state=$2
	shift 2
	[ "$state" = mem ] || echo platform >/sys/power/disk
	echo devices >/sys/power/pm_test || return
	said=$(failnth "$nth" write /sys/power/state "$state")
	echo none >/sys/power/pm_test
	check_after_sleep "$@" && echo "$said"
}

# The devices in these slots work, and if one was detached, then after it is bound again.
check_after_sleep() {
	local slot
	for slot; do
		mend_device "$slot" || return
	done
}

# One sleep to the state $2 with $1 percent of the allocations failing, in whichever task.
fail_sleep_at_random() {
	local pages percent slab slept state
	percent=$1 state=$2
	shift 2
	slab=/sys/kernel/debug/failslab pages=/sys/kernel/debug/fail_page_alloc
	[ "$state" = mem ] || echo platform >/sys/power/disk
	echo devices >/sys/power/pm_test || return
	echo "$percent" >$slab/probability
	echo "$percent" >$pages/probability
	echo "$state" >/sys/power/state
	# shellcheck disable=SC2320
	slept=$?
	echo 0 >$slab/probability
	echo 0 >$pages/probability
	echo none >/sys/power/pm_test
	check_after_sleep "$@" && echo "status $slept"
}
