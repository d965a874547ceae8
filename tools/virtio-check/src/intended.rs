// SPDX-License-Identifier: GPL-2.0

//! The differences from the C driver that are intended, as data.

use anyhow::Result;
use serde::Serialize;

use crate::readme;

/// A difference that is no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Intended {
    /// What the README's table calls it.
    pub id: &'static str,
    /// Why it is so.
    pub reason: &'static str,
}

/// QUEUE_SEL is written once a queue.
pub const SEL_ONCE: &str = "sel-once";
/// No teardown of vectors and queues after a reset.
pub const NO_TEARDOWN: &str = "no-teardown-after-reset";
/// The status is written from what is known.
pub const STATUS_NOT_REREAD: &str = "status-not-reread";
/// The offered features are read again at restore.
pub const FEATURES_REREAD: &str = "features-reread";
/// The status is polled after a reset.
pub const RESET_POLLED: &str = "reset-polled";
/// ISR is read after a reset.
pub const ISR_AFTER_RESET: &str = "isr-after-reset";
/// Configuration fields are read in their natural width.
pub const CONFIG_WIDTH: &str = "config-width";
/// Long configuration fields are read until two reads agree.
pub const CONFIG_STABLE: &str = "config-stable-read";
/// The device configuration is compared at restore with what it was before.
pub const CONFIG_COMPARED: &str = "config-compared";
/// The status is read before each output of a console.
pub const OUTPUT_CHECKED: &str = "output-checked";
/// A device whose virtio driver cannot be frozen is held in reset.
pub const HELD_IN_RESET: &str = "held-in-reset";

/// The differences that the Rust driver may show.
pub const INTENDED: &[Intended] = &[
    Intended {
        id: SEL_ONCE,
        reason: "QUEUE_SEL keeps its value; writing it once a queue saves an exit each time",
    },
    Intended {
        id: NO_TEARDOWN,
        reason: "a reset that was seen complete has dropped all vectors and ring addresses",
    },
    Intended {
        id: STATUS_NOT_REREAD,
        reason: "the status is written from what is known, not read back and modified",
    },
    Intended {
        id: FEATURES_REREAD,
        reason: "restore checks that the device still offers what was negotiated",
    },
    Intended {
        id: RESET_POLLED,
        reason: "a reset is complete only when the status reads 0; the wait is bounded",
    },
    Intended {
        id: ISR_AFTER_RESET,
        reason: "reading ISR after a reset drops an INTx line that is stuck",
    },
    Intended {
        id: CONFIG_WIDTH,
        reason: "configuration fields up to 4 bytes are read in one access",
    },
    Intended {
        id: CONFIG_STABLE,
        reason: "without a generation count, long fields are read until two reads agree",
    },
    Intended {
        id: CONFIG_COMPARED,
        reason: "a size or link that changed during the sleep is told to the virtio driver",
    },
    Intended {
        id: OUTPUT_CHECKED,
        reason: "virtio_console spins for its output; a dead device would stop the machine",
    },
    Intended {
        id: HELD_IN_RESET,
        reason: "a device whose virtio driver has no freeze (9p) is reset, and stays so",
    },
];

/// The ids that a README's table does not have.
///
/// # Errors
///
/// It has no such table.
pub fn missing_in(readme: &str, intended: &[Intended]) -> Result<Vec<&'static str>> {
    let table: Vec<[&str; 4]> = readme::table(readme, "Intended differences from the C driver")?;
    let named = |id: &str| table.iter().any(|[name, ..]| *name == format!("`{id}`"));
    let ids = intended.iter().map(|i| i.id);
    Ok(ids.filter(|id| !named(id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_must_name_each_id() {
        let rows: String = INTENDED
            .iter()
            .map(|i| format!("| `{}` | what | why | test |\n", i.id))
            .collect();
        let head = "## Intended differences from the C driver\n\n| id | what | why | test |\n";
        let all = format!("{head}|---|---|---|---|\n{rows}\n`sel-once` is one of them.\n");
        assert!(missing_in(&all, INTENDED).unwrap().is_empty());
        let most = all.replace("| `sel-once`", "| sel-once");
        assert_eq!(missing_in(&most, INTENDED).unwrap(), [SEL_ONCE]);
        assert!(missing_in(&rows, INTENDED).is_err());
    }
}
