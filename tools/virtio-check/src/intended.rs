// SPDX-License-Identifier: GPL-2.0

//! The differences from the C driver that are intended.
//!
//! The ids are here, since the comparison assigns them; the reasons are in docs/differences.toml.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// All intended differences, those that no trace shows among them.
const DATA: &str = include_str!("../../../docs/differences.toml");

/// A difference that is no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intended {
    /// Its id in docs/differences.toml.
    pub id: &'static str,
}

impl Intended {
    /// Why it is so.
    pub fn reason(self) -> &'static str {
        REASONS.get(self.id).map_or("", String::as_str)
    }
}

impl Serialize for Intended {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Intended", 2)?;
        shown.serialize_field("id", self.id)?;
        shown.serialize_field("reason", self.reason())?;
        shown.end()
    }
}

/// The reasons of the differences that a trace shows, by id.
static REASONS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Data {
        difference: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        id: String,
        why: String,
        #[serde(default)]
        traced: bool,
    }
    // Tests see that it is read.
    let rows = toml::from_str(DATA).map_or(Vec::new(), |data: Data| data.difference);
    let traced = rows.into_iter().filter(|row| row.traced);
    traced.map(|row| (row.id, row.why)).collect()
});

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
    Intended { id: SEL_ONCE },
    Intended { id: NO_TEARDOWN },
    Intended {
        id: STATUS_NOT_REREAD,
    },
    Intended {
        id: FEATURES_REREAD,
    },
    Intended { id: RESET_POLLED },
    Intended {
        id: ISR_AFTER_RESET,
    },
    Intended { id: CONFIG_WIDTH },
    Intended { id: CONFIG_STABLE },
    Intended {
        id: CONFIG_COMPARED,
    },
    Intended { id: OUTPUT_CHECKED },
    Intended { id: HELD_IN_RESET },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_have_a_reason_for_each_id_and_no_others() {
        let mut ids: Vec<&str> = INTENDED.iter().map(|i| i.id).collect();
        ids.sort_unstable();
        let known: Vec<&str> = REASONS.keys().map(String::as_str).collect();
        assert_eq!(ids, known);
        for intended in INTENDED {
            let reason = intended.reason();
            assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
        }
    }
}
