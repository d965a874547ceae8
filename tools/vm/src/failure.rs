// SPDX-License-Identifier: GPL-2.0

//! The ways in which a test can fail, each with its own name.

use std::time::Duration;

/// Why a test failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The VM went away while it was needed.
    #[error("LostVm: the VM went away while {0}")]
    LostVm(String),
    /// Something did not come in its time.
    #[error("TimedOut: {what} took longer than {} s", .limit.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A run that reported nothing at all.
    #[error("NoResults: {0}")]
    NoResults(String),
    /// The kernel log has something that must not be in it.
    #[error("Splat: the kernel log has\n{0}")]
    Splat(String),
    /// The kernel is tainted by more than an out-of-tree, unsigned module.
    #[error("Tainted: /proc/sys/kernel/tainted is {0:#x}")]
    Tainted(u64),
    /// The machine was to sleep, and nothing shows that it did.
    #[error("Awake: {0}")]
    Awake(String),
    /// A check did not hold.
    #[error("Failed: {0}")]
    Failed(String),
    /// This kernel lacks what the test is about, or the test is about another driver.
    #[error("Lacks: {0}")]
    Lacks(String),
    /// It fails, and that is on record.
    #[error("Known: {why}: {failure}")]
    Known {
        /// Why it fails.
        why: String,
        /// How it failed.
        failure: Box<Failure>,
    },
    /// The harness itself or the host is at fault.
    #[error("Harness: {0:#}")]
    Harness(#[from] anyhow::Error),
}

impl Failure {
    /// The name of the kind of failure.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LostVm(_) => "LostVm",
            Self::TimedOut { .. } => "TimedOut",
            Self::NoResults(_) => "NoResults",
            Self::Splat(_) => "Splat",
            Self::Tainted(_) => "Tainted",
            Self::Awake(_) => "Awake",
            Self::Failed(_) => "Failed",
            Self::Lacks(_) => "Lacks",
            Self::Known { failure, .. } => failure.name(),
            Self::Harness(_) => "Harness",
        }
    }
}

/// The outcome of a test or of a part of it.
pub type Outcome<T = ()> = Result<T, Failure>;
