// SPDX-License-Identifier: GPL-2.0

//! The device configuration accesses of a phase, independent of their width.

use crate::access::{Access, Register};
use std::collections::{BTreeMap, BTreeSet};

/// Which bytes of the configuration were read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigView {
    /// The values that each byte was read with.
    pub(crate) read: BTreeMap<u16, BTreeSet<u8>>,
    /// How often each byte was read.
    pub(crate) reads: BTreeMap<u16, usize>,
    /// The bytes written, in order.
    pub(crate) written: Vec<(u16, u8)>,
    /// The widest access.
    pub(crate) width: u8,
}

impl ConfigView {
    pub(crate) fn of(accesses: &[Access]) -> ConfigView {
        let mut view = ConfigView::default();
        for access in accesses {
            let Register::Config(offset) = access.register else {
                continue;
            };
            view.width = view.width.max(access.size);
            let bytes = access.value.to_le_bytes();
            for (at, byte) in (offset..).zip(bytes.into_iter().take(access.size.into())) {
                if access.write {
                    view.written.push((at, byte));
                } else {
                    view.read.entry(at).or_default().insert(byte);
                    *view.reads.entry(at).or_default() += 1;
                }
            }
        }
        view
    }

    /// Whether some byte is read more often than in the other.
    pub(crate) fn rereads(&self, other: &ConfigView) -> bool {
        let before = |at: &u16| other.reads.get(at).copied().unwrap_or(0);
        self.reads.iter().any(|(at, n)| *n > before(at))
    }

    /// The first few bytes that this one has otherwise than the other, as text.
    pub(crate) fn beyond(&self, other: &ConfigView) -> String {
        let read = self
            .read
            .iter()
            .filter(|&(at, v)| other.read.get(at) != Some(v));
        let mut text: Vec<String> = read.map(|(at, v)| format!("config+{at}? {v:x?}")).collect();
        if self.written != other.written {
            let written = self.written.iter();
            text.extend(written.map(|(at, byte)| format!("config+{at}={byte:#x}")));
        }
        text.truncate(8);
        text.join(", ")
    }

    /// Whether all that was read and written was so in the other too.
    pub(crate) fn is_part_of(&self, other: &ConfigView) -> bool {
        let reads = self
            .read
            .iter()
            .all(|(at, v)| other.read.get(at) == Some(v));
        reads && self.written == other.written
    }

    /// Whether the same bytes were read with the same values, and the same written.
    pub(crate) fn same(&self, other: &ConfigView) -> bool {
        self.read == other.read && self.written == other.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(offset: u16, size: u8, value: u64) -> Access {
        Access {
            line: 0,
            time: None,
            cpu: 0,
            register: Register::Config(offset),
            write: false,
            size,
            value,
            times: 1,
        }
    }

    #[test]
    fn width_does_not_matter() {
        let bytes = ConfigView::of(&[access(4, 1, 0x34), access(5, 1, 0x12)]);
        let word = ConfigView::of(&[access(4, 2, 0x1234)]);
        assert!(bytes.same(&word));
        assert_eq!((bytes.width, word.width), (1, 2));
        let other = ConfigView::of(&[access(4, 2, 0x1235)]);
        assert!(!bytes.same(&other));
        assert_eq!(other.beyond(&bytes), "config+4? {35}");
    }

    #[test]
    fn reading_again_is_seen() {
        let once = ConfigView::of(&[access(0, 4, 7)]);
        let twice = ConfigView::of(&[access(0, 4, 7), access(0, 4, 7)]);
        assert!(once.same(&twice));
        assert!(twice.rereads(&once));
        assert!(!once.rereads(&twice));
    }
}
