// SPDX-License-Identifier: GPL-2.0

//! Interrupts: the eventfds that QEMU gave for the line and for the vectors.

use std::fs::File;
use std::io::{self, Write};

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
};

/// The interrupts of the function.
#[derive(Default)]
pub(crate) struct Interrupts {
    line: Option<File>,
    /// QEMU has the line asserted, and unmasks it at the next access to a BAR.
    masked: bool,
    vectors: Vec<Option<File>>,
    /// How many were sent.
    pub(crate) sent: u64,
}

impl Interrupts {
    /// Takes or gives back eventfds, masks and unmasks; whether the line was unmasked.
    pub(crate) fn set(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        files: Vec<File>,
    ) -> bool {
        match index {
            VFIO_PCI_INTX_IRQ_INDEX if flags & VFIO_IRQ_SET_ACTION_TRIGGER != 0 => {
                self.line = files.into_iter().next();
                self.masked = false;
            }
            VFIO_PCI_INTX_IRQ_INDEX if flags & VFIO_IRQ_SET_ACTION_MASK != 0 => self.masked = true,
            VFIO_PCI_INTX_IRQ_INDEX if flags & VFIO_IRQ_SET_ACTION_UNMASK != 0 => {
                self.masked = false;
                return true;
            }
            VFIO_PCI_MSIX_IRQ_INDEX if flags & VFIO_IRQ_SET_ACTION_TRIGGER != 0 => {
                if count == 0 {
                    self.vectors.clear();
                }
                let (start, count) = (start as usize, count as usize);
                if self.vectors.len() < start + count {
                    self.vectors.resize_with(start + count, || None);
                }
                let mut files = files.into_iter();
                for vector in &mut self.vectors[start..start + count] {
                    *vector = files.next();
                }
            }
            _ => {}
        }
        false
    }

    /// Asserts the line.
    pub(crate) fn assert_line(&mut self) {
        if let (Some(line), false) = (&self.line, self.masked) {
            self.sent += u64::from(signal(line).is_ok());
            self.masked = true;
        }
    }

    /// Sends the message of a vector.
    pub(crate) fn send(&mut self, vector: u16) {
        if let Some(Some(vector)) = self.vectors.get(usize::from(vector)) {
            self.sent += u64::from(signal(vector).is_ok());
        }
    }
}

fn signal(mut eventfd: &File) -> io::Result<()> {
    eventfd.write_all(&1_u64.to_ne_bytes())
}
