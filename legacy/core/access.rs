// SPDX-License-Identifier: GPL-2.0

//! How a range of the device configuration is accessed.
//!
//! Virtio 1.4, 4.1.4.10: a driver may access the device configuration of the legacy interface with
//! any width. The widest aligned access is one exit to the hypervisor instead of four, and a field
//! of up to four bytes is read in one piece. For longer ones see [`Plan::is_atomic`].

/// The widths that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Widths {
    /// The widest that is aligned, up to four bytes.
    Natural,
    /// Bytes only, as the C driver does it.
    Byte,
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Offset into the device configuration, in bytes; a multiple of `width`.
    pub(crate) offset: usize,
    /// Width in bytes: 1, 2 or 4.
    pub(crate) width: usize,
}

/// The accesses that cover a range, in ascending order and without overlap.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    offset: usize,
    left: usize,
    widths: Widths,
}

impl Plan {
    /// Plans the access to `len` bytes at `offset` of a configuration that has `limit` bytes.
    ///
    /// `None` if the range is not inside of it.
    pub(crate) fn new(offset: usize, len: usize, limit: usize, widths: Widths) -> Option<Self> {
        (offset.checked_add(len)? <= limit).then_some(Self {
            offset,
            left: len,
            widths,
        })
    }

    /// Whether one access covers the whole range, so that no update can tear it.
    ///
    /// Otherwise the range must be read until two reads agree, since the legacy interface has no
    /// generation counter (virtio 1.x, 2.5.3).
    pub(crate) fn is_atomic(&self) -> bool {
        self.clone().nth(1).is_none()
    }
}

impl Iterator for Plan {
    type Item = Access;

    fn next(&mut self) -> Option<Access> {
        let width = match self.widths {
            _ if self.left == 0 => return None,
            Widths::Natural if self.left >= 4 && self.offset % 4 == 0 => 4,
            Widths::Natural if self.left >= 2 && self.offset % 2 == 0 => 2,
            _ => 1,
        };
        let access = Access {
            offset: self.offset,
            width,
        };
        self.offset += width;
        self.left -= width;
        Some(access)
    }
}
