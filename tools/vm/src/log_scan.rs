// SPDX-License-Identifier: GPL-2.0

//! Finds in a kernel log what must not be there.

use std::sync::LazyLock;

use regex::RegexSet;

/// What no test may bring the kernel to say.
const DENIED: &[&str] = &[
    r"\bBUG:",
    r"\bBUG\b.* at ",
    r"\bWARNING:",
    r"\bOops\b",
    r"\bCall Trace:",
    r"\bKernel panic\b",
    r"\bINFO: task .* blocked\b",
    r"\bINFO: rcu.* (stall|detected)",
    r"\bDMA-API:",
    r"\blockdep\b",
    r"possible (circular|recursive) locking",
    r"inconsistent lock state|Invalid wait context|non-static key",
    r"locking correctness validator|Disabling lock debugging",
    r"\bsuspicious RCU usage\b",
    r"\bnobody cared\b",
    r"\brefcount_t\b",
    r"disabling already-disabled",
    r"[Uu]nbalanced .*(enable|disable)",
    r"general protection fault",
    r"\bRIP:",
    r"\bRust panic|\bpanicked at\b",
    r"\bUBSAN:|\bKASAN:|\bKCSAN:|\bkmemleak:",
    r"\bunreferenced object 0x",
    r"\bODEBUG:|\bODEBUG disabled",
    r"\bBUG [\w:-]+ \((Not tainted|Tainted)",
    r"PM: .*failed to (suspend|resume|freeze|thaw|poweroff|restore)",
    r"PM: .*returns -\d+",
    r"PM: (Some devices failed|failed)",
    r"Failed to load image",
    r"Freezing .* failed",
    r"Trying to free already-free IRQ",
    r"genirq: Flags mismatch",
    r"list_(add|del) corruption",
    r"scheduling while atomic",
    r"Unknown symbol|disagrees about version",
    r"status 0x.* not written after",
    r"reset does not complete",
    r"failed to recover after reset",
    r"find_vqs before DRIVER|features before ACKNOWLEDGE",
    r"\d+ of \d+ virtqueues restored",
    r"printk messages dropped",
];

/// What may be there all the same, each with the reason.
const ALLOWED: &[(&str, &str)] = &[
    (
        r"kmemleak: Kernel memory leak detector initialized",
        "the detector begins",
    ),
    (
        r"DMA-API: (preallocated \d+ debug entries|debugging enabled by kernel config)",
        "the checks begin",
    ),
    (
        r"DMA-API: dma_debug_entry pool grown",
        "the checks go on with more memory",
    ),
    (r"ODEBUG: selftest passed", "the checks begin"),
    (r"RCU lockdep checking is enabled", "the checks begin"),
];

static DENIED_SET: LazyLock<RegexSet> = LazyLock::new(|| set(DENIED.iter().copied()));
static ALLOWED_SET: LazyLock<RegexSet> =
    LazyLock::new(|| set(ALLOWED.iter().map(|(pattern, _)| *pattern)));

fn set<'a>(patterns: impl Iterator<Item = &'a str>) -> RegexSet {
    // An invalid pattern must not look like a clean log; the unit tests compile them all.
    RegexSet::new(patterns)
        .unwrap_or_else(|error| panic!("in the patterns of the log scan: {error}"))
}

/// The lines of a kernel log that must not be there.
pub fn findings(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| DENIED_SET.is_match(line) && !ALLOWED_SET.is_match(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_boot_is_clean() {
        let log = "\
[    0.000000] Linux version 7.3.4\n\
[    0.100000] Kernel command line: console=ttyS0 oops=panic panic_on_warn=1 softlockup_panic=1\n\
[    0.200000] ACPI: bus type PCI registered\n\
[    1.200000] virtio_blk virtio0: 1/0/0 default/read/poll queues\n\
[    2.300000] PM: suspend entry (deep)\n\
[    2.310000] PM: hibernation: Allocated 1234 pages\n";
        assert_eq!(findings(log), Vec::<&str>::new());
    }

    #[test]
    fn the_checks_of_the_debug_kernel_may_begin() {
        let log = "\
[    0.000000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15655)\n\
[    0.100000] DMA-API: preallocated 65536 debug entries\n\
[    0.100000] DMA-API: debugging enabled by kernel config\n\
[    0.200000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar\n\
[    0.250000] rcu: \tRCU lockdep checking is enabled.\n\
[    0.300000] ODEBUG: selftest passed\n";
        assert_eq!(findings(log), Vec::<&str>::new());
    }

    #[test]
    fn each_kind_of_splat_is_found() {
        for line in [
            "[ 1.0] BUG: kernel NULL pointer dereference, address: 0000000000000010",
            "[ 1.0] kernel BUG at mm/slub.c:4321!",
            "[ 1.0] WARNING: CPU: 0 PID: 1 at kernel/irq/manage.c:100 free_irq+0x1",
            "[ 1.0] Oops: 0002 [#1] SMP",
            "[ 1.0] Call Trace:",
            "[ 1.0] Kernel panic - not syncing: Fatal exception",
            "[ 1.0] INFO: task sh:80 blocked for more than 120 seconds.",
            "[ 1.0] DMA-API: device driver frees DMA memory with wrong function",
            "[ 1.0] irq 11: nobody cared (try booting with the \"irqpoll\" option)",
            "[ 1.0] refcount_t: underflow; use-after-free.",
            "[ 1.0] virtio-pci 0000:00:04.0: disabling already-disabled device",
            "[ 1.0] general protection fault, probably for non-canonical address",
            "[ 1.0] RIP: 0010:vp_reset+0x10/0x20",
            "[ 1.0] rust_kernel: panicked at legacy/queues.rs:10",
            "[ 1.0] virtio-pci 0000:00:04.0: PM: failed to restore: error -2",
            "[ 1.0] virtio-pci 0000:00:04.0: PM: pci_pm_resume(): virtio_pci_resume returns -2",
            "[ 1.0] WARNING: possible circular locking dependency detected",
            "[ 1.0] BUG: KASAN: slab-use-after-free in vring_interrupt+0x1/0x2",
            "[ 1.0] BUG kmalloc-64 (Tainted: G           O       ): Redzone overwritten",
            "[ 1.0] BUG: KCSAN: data-race in vring_interrupt / virtqueue_add",
            "** 12 printk messages dropped **",
            "[ 1.0] UBSAN: array-index-out-of-bounds in drivers/virtio/virtio_ring.c:1:2",
            "[ 1.0] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            "[ 1.0] kmemleak: Kernel memory leak detector disabled",
            "unreferenced object 0xffff888003a1c000 (size 64):",
            "[ 1.0] WARNING: possible recursive locking detected",
            "[ 1.0] WARNING: inconsistent lock state",
            "[ 1.0] [ BUG: Invalid wait context ]",
            "[ 1.0] INFO: trying to register non-static key.",
            "[ 1.0] turning off the locking correctness validator.",
            "[ 1.0] INFO: lockdep is turned off.",
            "[ 1.0] BUG: sleeping function called from invalid context at mm/slab.h:1",
            "[ 1.0] ODEBUG: free active (active state 0) object: 0 object type: timer_list",
            "[ 1.0] ODEBUG: Out of memory. ODEBUG disabled",
            "[ 1.0] DMA-API: virtio-pci 0000:00:03.0: device driver has pending DMA allocations",
            "[ 1.0] INFO: task kworker/0:1:9 blocked for more than 120 seconds.",
            "[ 1.0] rust_kernel: panicked at core/src/ub_checks.rs:1:\u{20}",
        ] {
            assert_eq!(findings(line), vec![line]);
        }
    }

    #[test]
    fn each_allowed_line_says_why_and_would_be_denied_otherwise() {
        for (pattern, reason) in ALLOWED {
            assert!(!reason.is_empty());
            assert!(DENIED_SET.is_match(pattern), "{pattern} needs no exception");
        }
    }
}
