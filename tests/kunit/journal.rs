// SPDX-License-Identifier: GPL-2.0

//! The journal with the memory and the clock of the kernel. `legacy/` forbids unsafe code, which
//! the macro for KUnit tests makes, so they are here.

use kernel::prelude::*;

use crate::{
    abstractions::clock,
    legacy::{
        core::journal::{
            Event,
            Journal,
            CAPACITY, //
        },
        empty_entries, //
    }, //
};

#[kunit_tests(virtio_pci_rs_journal)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept_in_order() -> Result {
        let mut journal = Journal::new(empty_entries()?);
        let begin = clock::monotonic_ns();
        for number in 0..1000 {
            journal.record(Event::Offered(number), clock::monotonic_ns);
        }
        assert_eq!(journal.lost(), 1000 - CAPACITY);

        let (mut number, mut time) = (1000, u64::MAX);
        let mut entries = KVec::new();
        for entry in journal.entries() {
            entries.push(*entry, GFP_KERNEL)?;
        }
        assert_eq!(entries.len(), CAPACITY);
        for entry in entries.iter().rev() {
            number -= 1;
            assert_eq!(entry.event, Event::Offered(number));
            assert!(begin <= entry.time && entry.time <= time);
            time = entry.time;
        }
        Ok(())
    }
}
