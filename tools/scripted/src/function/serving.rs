// SPDX-License-Identifier: GPL-2.0

//! What the function does with its virtqueues, and how it tells the driver.

use virtio_check::access::DRIVER_OK;

use super::Function;
use crate::models::Served;
use crate::ring::RingError;
use virtio_check::rules::table;

/// The ISR's bit for used buffers.
const ISR_QUEUE: u8 = 1;

impl Function {
    /// Serves a virtqueue, and those that have to be served after it.
    pub(crate) fn serve(&mut self, index: usize) {
        let mut next = Some(index);
        while let Some(index) = next {
            match self.serve_one(index) {
                Ok(()) => {}
                Err(error) => {
                    let text = format!("virtqueue {index}: {error}");
                    self.breach(table::BUFFER_MEMORY, text);
                    return;
                }
            }
            next = self.model.wakes(index);
        }
    }

    fn serve_one(&mut self, index: usize) -> Result<(), RingError> {
        // A hypervisor that takes compliance for granted does not serve others.
        let refused = !self.compliant && !self.lenient;
        if self.gone || refused || self.status & DRIVER_OK == 0 {
            return Ok(());
        }
        let memory = self.memory.whole().clone();
        let Some(queue) = self.queues.get_mut(index) else {
            return Ok(());
        };
        let Some(ring) = &mut queue.ring else {
            return Ok(());
        };
        ring.false_id = self.false_id;
        let (mut finished, mut kept) = (false, false);
        loop {
            while let Some(buffer) = ring.next(&memory)? {
                match self.model.serve(index, &buffer.given, buffer.room) {
                    Served::Finished(bytes) => {
                        ring.finish(&memory, buffer, &bytes)?;
                        finished = true;
                    }
                    Served::Kept => {
                        ring.put_back();
                        kept = true;
                        break;
                    }
                }
            }
            // Buffers that are kept stay where they are.
            if !ring.rearm(&memory)? || kept {
                break;
            }
        }
        if finished && ring.wants_interrupt(&memory)? {
            let vector = queue.vector;
            self.interrupt(vector);
        }
        Ok(())
    }

    /// Tells the driver of used buffers.
    fn interrupt(&mut self, vector: u16) {
        if self.space.has_msix_enabled() {
            self.interrupts.send(vector);
        } else {
            self.isr |= ISR_QUEUE;
            self.interrupts.assert_line();
        }
    }

    /// Interrupts on the line, or on every vector.
    pub(crate) fn interrupt_all(&mut self, isr: u8) {
        if self.space.has_msix_enabled() {
            (0..self.vectors).for_each(|vector| self.interrupts.send(vector));
        } else {
            self.isr |= isr;
            self.interrupts.assert_line();
        }
    }

    /// QEMU has released the line.
    pub(crate) fn line_released(&mut self) {
        if self.isr != 0 && !self.space.has_msix_enabled() {
            self.interrupts.assert_line();
        }
    }
}
