// SPDX-License-Identifier: GPL-2.0

//! The parts of the module that run beside a handler, in each order that loom finds.
//!
//! The files are those of the module; only what they synchronise with is replaced.

#![cfg(test)]
#![allow(dead_code, reason = "no model uses all of the files")]

#[path = "../../../abstractions/command.rs"]
mod command;
#[path = "../../../legacy/core/mod.rs"]
mod legacy;
#[path = "../../../abstractions/shared.rs"]
mod shared;

/// `abstractions/sync.rs` on loom.
mod sync {
    pub(crate) use std::cell::UnsafeCell;

    use loom::sync::atomic::{AtomicBool, Ordering};

    pub(crate) struct Acquire;
    pub(crate) struct Relaxed;
    pub(crate) struct Release;

    pub(crate) trait Order {
        const ORDERING: Ordering;
    }

    impl Order for Acquire {
        const ORDERING: Ordering = Ordering::Acquire;
    }

    impl Order for Relaxed {
        const ORDERING: Ordering = Ordering::Relaxed;
    }

    impl Order for Release {
        const ORDERING: Ordering = Ordering::Release;
    }

    pub(crate) struct AtomicFlag(AtomicBool);

    impl AtomicFlag {
        pub(crate) fn new(value: bool) -> Self {
            Self(AtomicBool::new(value))
        }

        pub(crate) fn load<O: Order>(&self, _: O) -> bool {
            self.0.load(O::ORDERING)
        }

        pub(crate) fn store<O: Order>(&self, value: bool, _: O) {
            self.0.store(value, O::ORDERING);
        }
    }
}

use std::ops::DerefMut;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::sync::Mutex;
use loom::thread;

use command::{Command, Known, Lock, Register};
use shared::Shared;

impl<T> Lock<T> for Mutex<T> {
    fn lock(&self) -> impl DerefMut<Target = T> {
        Mutex::lock(self).unwrap()
    }
}

const INTX_DISABLE: u32 = 1;
const MASTER: u32 = 2;

/// A COMMAND register that is read, modified and written, as by the C functions.
struct Hardware {
    command: AtomicU32,
    asserted: AtomicBool,
}

impl Hardware {
    fn change(&self, bit: u32, on: bool) {
        let command = self.command.load(Ordering::Relaxed);
        thread::yield_now();
        let command = if on { command | bit } else { command & !bit };
        self.command.store(command, Ordering::Relaxed);
    }

    fn has(&self, bit: u32) -> bool {
        self.command.load(Ordering::Relaxed) & bit != 0
    }
}

impl Register for &Hardware {
    fn read(&self) -> Known {
        Known {
            intx_disabled: self.has(INTX_DISABLE),
            master: self.has(MASTER),
        }
    }

    fn set_intx(&self, on: bool) {
        self.change(INTX_DISABLE, !on);
    }

    fn mask_asserted_intx(&self) -> bool {
        let asserted = self.asserted.load(Ordering::Relaxed);
        if asserted {
            self.change(INTX_DISABLE, true);
        }
        asserted
    }

    fn set_master(&self, on: bool) {
        self.change(MASTER, on);
    }
}

struct Function {
    hardware: Hardware,
    known: Mutex<Known>,
    masked: sync::AtomicFlag,
}

impl Function {
    /// A function that may access memory and interrupt.
    fn live(asserted: bool) -> Self {
        Self {
            hardware: Hardware {
                command: AtomicU32::new(MASTER),
                asserted: AtomicBool::new(asserted),
            },
            known: Mutex::new(Known {
                intx_disabled: false,
                master: true,
            }),
            masked: sync::AtomicFlag::new(false),
        }
    }

    fn command(&self) -> Command<'_, &Hardware, Mutex<Known>> {
        Command {
            register: &self.hardware,
            known: &self.known,
            intx_masked: &self.masked,
        }
    }

    /// The hardware is as it is known to be.
    fn check(&self) {
        let known = *self.known.lock().unwrap();
        assert_eq!(known, (&self.hardware).read());
        assert_eq!(known.intx_disabled, self.masked.load(sync::Relaxed));
    }
}

#[test]
fn a_handler_that_masks_intx_and_a_device_that_is_detached_agree() {
    loom::model(|| {
        let function = Arc::new(Function::live(true));
        let handler = thread::spawn({
            let function = function.clone();
            move || {
                if !function.masked.load(sync::Relaxed) {
                    function.command().mask_asserted_intx();
                }
            }
        });
        function.command().set_master(false);
        function.command().set_intx_masked(true);
        handler.join().unwrap();
        function.check();
        assert!(!function.hardware.has(MASTER));
        assert!(function.hardware.has(INTX_DISABLE));
    });
}

#[test]
fn a_handler_that_masks_intx_and_an_alarm_that_is_withdrawn_agree() {
    loom::model(|| {
        let function = Arc::new(Function::live(true));
        let handler = thread::spawn({
            let function = function.clone();
            move || function.command().mask_asserted_intx()
        });
        function.command().set_intx_masked(false);
        function.command().set_master(true);
        assert!(handler.join().unwrap());
        function.check();
        assert!(function.hardware.has(MASTER));
    });
}

#[test]
fn another_device_in_the_slot_is_left_alone() {
    loom::model(|| {
        let function = Function::live(false);
        function.command().forget();
        function.command().set_master(false);
        function.command().set_intx_masked(true);
        assert!(function.hardware.has(MASTER));
        assert!(!function.hardware.has(INTX_DISABLE));
        assert!(function.masked.load(sync::Relaxed));
    });
}

/// The lock of an interrupt descriptor, with whether a handler is in progress.
#[derive(Default)]
struct Descriptor(Mutex<bool>);

impl Descriptor {
    /// The interrupt core around a handler.
    fn handle(&self, handler: impl FnOnce()) {
        *self.0.lock().unwrap() = true;
        handler();
        *self.0.lock().unwrap() = false;
    }

    /// `synchronize_irq()`.
    fn synchronize(&self) {
        while *self.0.lock().unwrap() {
            thread::yield_now();
        }
    }
}

/// Data whose use loom watches.
struct Watched(UnsafeCell<u32>);

// SAFETY: The models show that no use races with a change; loom fails if one does.
unsafe impl Sync for Watched {}

#[test]
fn a_handler_never_uses_what_is_being_changed() {
    loom::model(|| {
        let shared = Arc::new(Shared::new(Watched(UnsafeCell::new(0))));
        let descriptor = Arc::new(Descriptor::default());
        shared.publish();
        let handler = thread::spawn({
            let (shared, descriptor) = (shared.clone(), descriptor.clone());
            move || {
                descriptor.handle(|| {
                    // SAFETY: `synchronize` waits for this handler.
                    if let Some(watched) = unsafe { shared.published() } {
                        // SAFETY: loom checks that nothing writes.
                        watched.0.with(|value| assert!(unsafe { *value } <= 1));
                    }
                });
            }
        });
        shared.revoke(|| descriptor.synchronize());
        assert!(!shared.is_published());
        // SAFETY: The data are revoked.
        let watched = unsafe { &*shared.as_ptr() };
        // SAFETY: loom checks that nothing reads or writes.
        watched.0.with_mut(|value| unsafe { *value = 1 });
        shared.publish();
        handler.join().unwrap();
    });
}

#[test]
fn no_look_at_a_device_that_is_stopped() {
    use legacy::life::{Cause, Held, Life, LifeEvent};

    loom::model(|| {
        let life = Arc::new(Mutex::new(Life::Working));
        let powered = Arc::new(AtomicBool::new(true));
        let work = thread::spawn({
            let (life, powered) = (life.clone(), powered.clone());
            move || {
                for _ in 0..2 {
                    let mut life = life.lock().unwrap();
                    let event = match *life {
                        Life::Working => LifeEvent::Alarm(0),
                        Life::Suspect(_) => LifeEvent::AlarmWithdrawn,
                        _ => return,
                    };
                    assert!(powered.load(Ordering::Relaxed), "{:?}", *life);
                    *life = life.after(event).unwrap();
                }
            }
        });
        let apply = |event| {
            let mut life = life.lock().unwrap();
            *life = life.after(event).unwrap();
        };
        apply(LifeEvent::Stop(Cause::Sleep));
        powered.store(false, Ordering::Relaxed);
        apply(LifeEvent::Stopped(Held::Frozen));
        apply(LifeEvent::Start);
        powered.store(true, Ordering::Relaxed);
        apply(LifeEvent::DriverRestored);
        apply(LifeEvent::Started);
        work.join().unwrap();
    });
}
