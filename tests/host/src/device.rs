// SPDX-License-Identifier: GPL-2.0

//! A register file that records each access, and whose answers can be made wrong.

use std::cell::{Cell, RefCell};

use crate::legacy::handshake::Registers;
use crate::legacy::status::Status;

/// Virtqueues of the device.
pub(crate) const QUEUES: u16 = 2;

/// Size of each of its virtqueues.
pub(crate) const QUEUE_SIZE: u16 = 256;

/// Features that the device offers.
pub(crate) const OFFERED: u32 = 0x3100_6ed4;

/// More accesses than any handshake may need.
const ACCESSES_MAX: usize = 400;

/// What happened on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    ReadStatus(u8),
    WriteStatus(u8),
    /// Not an access, but the pause between two of them.
    WaitForReset(u32),
    ReadFeatures(u32),
    WriteFeatures(u32),
    SelectQueue(u16),
    ReadQueueNum(u16),
    ReadQueuePfn(u32),
    WriteQueuePfn(u32),
    WriteQueueVector(u16),
    ReadQueueVector(u16),
}

/// Turns the right answer to the n-th read into the one that is given.
pub(crate) type Answer = Box<dyn Fn(usize, u32) -> u32>;

/// The registers of a device that does what the specification says, but for [`Answer`].
pub(crate) struct RegisterFile {
    log: RefCell<Vec<Event>>,
    answer: Answer,
    reads: Cell<usize>,
    status: Cell<u8>,
    written: Cell<Status>,
    /// Reads of the status until a reset is complete.
    reset_reads: u32,
    reset_reads_left: Cell<u32>,
    /// Pauses that are made for a reset.
    patience: u32,
    selected: Cell<usize>,
    pfn: Cell<[u32; QUEUES as usize]>,
    vector: Cell<[u16; QUEUES as usize]>,
}

impl RegisterFile {
    /// A device that was live before.
    pub(crate) fn new() -> Self {
        Self {
            log: RefCell::default(),
            answer: Box::new(|_, right| right),
            reads: Cell::new(0),
            status: Cell::new(0x07),
            written: Cell::new(Status::from_raw(0x07)),
            reset_reads: 0,
            reset_reads_left: Cell::new(0),
            patience: 4,
            selected: Cell::new(0),
            pfn: Cell::new([1; QUEUES as usize]),
            vector: Cell::new([1; QUEUES as usize]),
        }
    }

    /// Makes answers wrong.
    pub(crate) fn answering(mut self, answer: impl Fn(usize, u32) -> u32 + 'static) -> Self {
        self.answer = Box::new(answer);
        self
    }

    /// Lets a reset be complete only after `reads` reads of the status.
    pub(crate) fn resetting_for(mut self, reads: u32) -> Self {
        self.reset_reads = reads;
        self
    }

    /// Makes `pauses` pauses for a reset.
    pub(crate) fn waiting_for(mut self, pauses: u32) -> Self {
        self.patience = pauses;
        self
    }

    /// What happened so far.
    pub(crate) fn log(&self) -> Vec<Event> {
        self.log.borrow().clone()
    }

    /// Number of reads so far.
    pub(crate) fn reads(&self) -> usize {
        self.reads.get()
    }

    fn record(&self, event: Event) {
        let mut log = self.log.borrow_mut();
        log.push(event);
        assert!(log.len() < ACCESSES_MAX, "no end of accesses: {log:?}");
    }

    fn answer(&self, right: u32) -> u32 {
        let index = self.reads.get();
        self.reads.set(index + 1);
        (self.answer)(index, right)
    }

    /// Selects a virtqueue for the other queue accesses.
    pub(crate) fn select_queue(&self, index: u16) {
        self.selected.set(usize::from(index));
        self.record(Event::SelectQueue(index));
    }

    /// Reads the size of the selected virtqueue.
    pub(crate) fn read_queue_num(&self) -> u16 {
        let num = self.answer(u32::from(QUEUE_SIZE)) as u16;
        self.record(Event::ReadQueueNum(num));
        num
    }

    /// Reads the page frame number of the selected virtqueue.
    pub(crate) fn read_queue_pfn(&self) -> u32 {
        let pfn = self.answer(self.pfn.get()[self.selected.get()]);
        self.record(Event::ReadQueuePfn(pfn));
        pfn
    }

    /// Writes the page frame number of the selected virtqueue.
    pub(crate) fn write_queue_pfn(&self, page: u32) {
        let mut pfn = self.pfn.get();
        pfn[self.selected.get()] = page;
        self.pfn.set(pfn);
        self.record(Event::WriteQueuePfn(page));
    }

    /// Writes the vector of the selected virtqueue.
    pub(crate) fn write_queue_vector(&self, number: u16) {
        let mut vector = self.vector.get();
        vector[self.selected.get()] = number;
        self.vector.set(vector);
        self.record(Event::WriteQueueVector(number));
    }

    /// Reads the vector of the selected virtqueue.
    pub(crate) fn read_queue_vector(&self) -> u16 {
        let vector = self.answer(u32::from(self.vector.get()[self.selected.get()])) as u16;
        self.record(Event::ReadQueueVector(vector));
        vector
    }
}

impl Registers for RegisterFile {
    fn read_status(&self) -> Status {
        let status = match self.reset_reads_left.get() {
            0 => self.status.get(),
            left => {
                self.reset_reads_left.set(left - 1);
                0x07
            }
        };
        let status = self.answer(u32::from(status)) as u8;
        self.record(Event::ReadStatus(status));
        Status::from_raw(status)
    }

    fn write_status(&self, status: Status) {
        if status == Status::RESET {
            self.reset_reads_left.set(self.reset_reads);
            self.pfn.take();
            self.vector.set([0xffff; QUEUES as usize]);
        }
        self.status.set(status.raw());
        self.written.set(status);
        self.record(Event::WriteStatus(status.raw()));
    }

    fn written_status(&self) -> Status {
        self.written.get()
    }

    fn offered_features(&self) -> u32 {
        let offered = self.answer(OFFERED);
        self.record(Event::ReadFeatures(offered));
        offered
    }

    fn accept_features(&self, features: u32) {
        self.record(Event::WriteFeatures(features));
    }

    fn wait_for_reset(&self, attempt: u32) -> bool {
        self.record(Event::WaitForReset(attempt));
        attempt < self.patience
    }
}
