// SPDX-License-Identifier: GPL-2.0

//! Puts the steps of both drivers side by side, and says why they differ.

use crate::access::NO_VECTOR;
use crate::compare::Row;
use crate::intended;
use crate::phase::Phase;
use crate::steps::{Located, Step};
use diff::Result::{Both, Left, Right};

/// The id of a difference, what C does and what Rust does.
pub(crate) type Found = (Option<&'static str>, String, String);

/// The steps of both drivers in a phase of a device.
pub(crate) struct Aligned<'a> {
    pub(crate) phase: Phase,
    pub(crate) is_console: bool,
    pub(crate) c: &'a [Located],
    pub(crate) rust: &'a [Located],
}

impl Aligned<'_> {
    /// Puts the steps of both side by side.
    pub(crate) fn align(&self, found: &mut Vec<Found>) -> Vec<Row> {
        let (c, rust) = (self.c, self.rust);
        let keys = |steps: &[Located]| -> Vec<_> { steps.iter().map(|s| s.step.key()).collect() };
        let (c_keys, rust_keys) = (keys(c), keys(rust));
        let mut rows = Vec::new();
        let (mut c_at, mut rust_at) = (0, 0);
        for side in diff::slice(&c_keys, &rust_keys) {
            match side {
                Both(..) => rows.push(both(&c[c_at].step, &rust[rust_at].step, found)),
                Left(_) => rows.push(only_c(c, c_at, found)),
                Right(_) => rows.push(self.only_rust(&rust[rust_at].step, found)),
            }
            c_at += usize::from(!matches!(side, Right(_)));
            rust_at += usize::from(!matches!(side, Left(_)));
        }
        rows
    }

    /// A step that only the Rust driver does.
    fn only_rust(&self, step: &Step, found: &mut Vec<Found>) -> Row {
        let id = match (step, self.phase) {
            (Step::Offered { .. }, Phase::Restore) => Some(intended::FEATURES_REREAD),
            (step, _) if self.is_console && is_status_read(step) => Some(intended::OUTPUT_CHECKED),
            _ => None,
        };
        found.push((id, String::new(), step.to_string()));
        Row {
            c: String::new(),
            rust: step.to_string(),
            note: id.unwrap_or_default().to_owned(),
        }
    }
}

/// The same step of both, done in maybe different ways.
fn both(c: &Step, rust: &Step, found: &mut Vec<Found>) -> Row {
    let mut ids = Vec::new();
    // Each rewrite makes the C driver's step what the Rust driver intends instead.
    let mut expected = c.clone();
    match (&mut expected, rust) {
        (
            Step::Reset { reads, isr, .. },
            Step::Reset {
                reads: polled,
                isr: read,
                ..
            },
        ) => {
            if polled > reads {
                *reads = *polled;
                ids.push(intended::RESET_POLLED);
            }
            if *read && !*isr {
                ids.push(intended::ISR_AFTER_RESET);
            }
            *isr = *read;
        }
        (
            Step::Status { read_before, .. },
            Step::Status {
                read_before: None, ..
            },
        ) if read_before.is_some() => {
            *read_before = None;
            ids.push(intended::STATUS_NOT_REREAD);
        }
        (Step::Queue(queue), Step::Queue(other)) if other.selects < queue.selects => {
            queue.selects = other.selects;
            ids.push(intended::SEL_ONCE);
        }
        _ => {}
    }
    let (c, text) = (c.to_string(), rust.to_string());
    for id in &ids {
        found.push((Some(id), c.clone(), text.clone()));
    }
    if expected != *rust {
        found.push((None, c.clone(), text.clone()));
    }
    Row {
        c,
        rust: text,
        note: ids.join(" "),
    }
}

/// A step that only the C driver does.
fn only_c(steps: &[Located], at: usize, found: &mut Vec<Found>) -> Row {
    let step = &steps[at].step;
    let after_reset = || {
        let before = steps[..at].iter().rev().map(|s| &s.step);
        let mut before = before.skip_while(|s| is_teardown(s) || is_status_read(s));
        matches!(before.next(), Some(Step::Reset { complete: true, .. }))
    };
    let id = match step {
        step if is_teardown(step) && after_reset() => Some(intended::NO_TEARDOWN),
        step if is_status_read(step) => Some(intended::STATUS_NOT_REREAD),
        _ => None,
    };
    found.push((id, step.to_string(), String::new()));
    Row {
        c: step.to_string(),
        rust: String::new(),
        note: id.unwrap_or_default().to_owned(),
    }
}

fn is_teardown(step: &Step) -> bool {
    let clears = |vector| vector == NO_VECTOR;
    match step {
        Step::Teardown { .. } => true,
        Step::ConfigVector { vector, .. } => clears(*vector),
        _ => false,
    }
}

fn is_status_read(step: &Step) -> bool {
    matches!(step, Step::StatusRead { .. })
}
