// SPDX-License-Identifier: GPL-2.0

//! What happened to a device: the last events, each with its time.
//!
//! What an event prints is also the line in the kernel log, where there is one.

use core::{
    fmt,
    ops::DerefMut, //
};

use super::{
    handshake::{
        FeaturesMissing,
        HandshakeLost,
        ResetError, //
    },
    ring::RingError,
    status::{
        self,
        Status, //
    },
    vectors::Policy, //
};

/// Number of events that are kept.
pub(crate) const CAPACITY: usize = 256;

/// Something that happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The status was written.
    StatusWritten(Status),
    /// The status read differently than before.
    StatusRead(Status),
    /// A status that the virtio core asked for was not written.
    StatusRefused {
        /// The status that was written last.
        current: Status,
        /// What was asked for.
        wanted: Status,
        /// Why not.
        why: status::WriteError,
    },
    /// A reset did not complete.
    ResetFailed(ResetError),
    /// The device offered features.
    Offered(u32),
    /// Features were accepted.
    Accepted(u32),
    /// Features that are in use are no longer offered.
    FeaturesMissing(FeaturesMissing),
    /// A virtqueue was shown to the device.
    Virtqueue {
        /// Its index.
        index: u16,
        /// Its size, in entries.
        num: u16,
        /// The page frame number of its ring.
        pfn: u32,
    },
    /// A virtqueue cannot be used.
    VirtqueueRefused {
        /// Its index.
        index: u16,
        /// Why not.
        error: RingError,
    },
    /// The device does not take a vector.
    VectorRefused {
        /// The virtqueue, or `None` for configuration changes.
        index: Option<u16>,
        /// What was written.
        vector: u16,
        /// What was read back.
        read: u16,
    },
    /// The MSI-X capability says otherwise than the PCI core has asked for.
    MsixMismatch {
        /// Whether MSI-X is to be enabled.
        wanted: bool,
    },
    /// An interrupt policy is used.
    PolicyUsed(Policy),
    /// An interrupt policy cannot be used.
    PolicyRefused(Policy, Errno),
    /// All virtqueues were deleted.
    VirtqueuesDeleted,
    /// Virtqueues were made that the device never sees.
    VirtqueuesDetached,
    /// Falling asleep or waking up has begun.
    Begun(Phase),
    /// Falling asleep or waking up has ended.
    Ended(Phase, Option<Errno>),
    /// The device does not answer at its registers.
    Gone(Absence),
    /// The device does not answer in the configuration space.
    Absent,
    /// A check has found the device dead; this is its status. The next check decides.
    Alarm(Status),
    /// The next check has found it alive.
    AlarmWithdrawn,
    /// A reset takes long.
    ResetSlow {
        /// How long it may take, in ms.
        limit_ms: u32,
    },
    /// A first reset that took long is complete.
    ResetComplete,
    /// The virtio driver was not prepared for a reset by the PCI core.
    ResetNotPrepared(Errno),
    /// The device was not brought back after a reset by the PCI core.
    NotRecovered(Errno),
    /// There is another device in the slot.
    Replaced,
    /// The PCI core could not enable the device.
    NotEnabled(Errno),
    /// The virtio driver was not restored.
    NotRestored(Errno),
    /// Virtqueues are missing after the virtio driver was restored.
    VirtqueuesMissing {
        /// Virtqueues present now.
        now: usize,
        /// Virtqueues before suspend.
        before: usize,
    },
    /// The virtio driver has undone the handshake.
    HandshakeLost(HandshakeLost),
    /// The device asks for a reset, or says that it failed.
    Complaint(Status),
    /// The device has another status than was written: somebody else has reset it.
    StatusLost {
        /// The status that was written last.
        written: Status,
        /// That of the device.
        read: Status,
    },
    /// The virtio driver cannot be frozen; the device is held in reset.
    HeldInReset,
    /// Registers are no longer accessed.
    Detached,
    /// The virtio device of a detached device was unregistered.
    Unregistered,
    /// The virtio device of a detached device stays registered.
    Kept,
    /// The virtio driver cannot be frozen; the sleep is refused.
    SleepRefused,
    /// The virtio driver is not frozen, since it would wait for a dead device.
    NotFrozen,
    /// The output of a console was stopped at a notification; the device is alive again.
    OutputBroken,
}

impl Event {
    /// The name, which stays when the words of [`Event`]'s line change: tests and scripts find
    /// events by it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::StatusWritten(..) => "StatusWritten",
            Self::StatusRead(..) => "StatusRead",
            Self::StatusRefused { .. } => "StatusRefused",
            Self::ResetFailed(..) => "ResetFailed",
            Self::Offered(..) => "Offered",
            Self::Accepted(..) => "Accepted",
            Self::FeaturesMissing(..) => "FeaturesMissing",
            Self::Virtqueue { .. } => "Virtqueue",
            Self::VirtqueueRefused { .. } => "VirtqueueRefused",
            Self::VectorRefused { .. } => "VectorRefused",
            Self::MsixMismatch { .. } => "MsixMismatch",
            Self::PolicyUsed(..) => "PolicyUsed",
            Self::PolicyRefused(..) => "PolicyRefused",
            Self::VirtqueuesDeleted => "VirtqueuesDeleted",
            Self::VirtqueuesDetached => "VirtqueuesDetached",
            Self::Begun(..) => "Begun",
            Self::Ended(..) => "Ended",
            Self::Gone(..) => "Gone",
            Self::Absent => "Absent",
            Self::Alarm(..) => "Alarm",
            Self::AlarmWithdrawn => "AlarmWithdrawn",
            Self::ResetSlow { .. } => "ResetSlow",
            Self::ResetComplete => "ResetComplete",
            Self::ResetNotPrepared(..) => "ResetNotPrepared",
            Self::NotRecovered(..) => "NotRecovered",
            Self::Replaced => "Replaced",
            Self::NotEnabled(..) => "NotEnabled",
            Self::NotRestored(..) => "NotRestored",
            Self::VirtqueuesMissing { .. } => "VirtqueuesMissing",
            Self::HandshakeLost(..) => "HandshakeLost",
            Self::Complaint(..) => "Complaint",
            Self::StatusLost { .. } => "StatusLost",
            Self::HeldInReset => "HeldInReset",
            Self::Detached => "Detached",
            Self::Unregistered => "Unregistered",
            Self::Kept => "Kept",
            Self::SleepRefused => "SleepRefused",
            Self::NotFrozen => "NotFrozen",
            Self::OutputBroken => "OutputBroken",
        }
    }
}

/// Why the registers of a device read as all ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The configuration space does too: the device was removed.
    Removed,
    /// The device does not decode the addresses of its BARs; its COMMAND register.
    NotDecoding(u16),
    /// The configuration space is as it should be.
    NoRegisters,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("the configuration space does too"),
            Self::NotDecoding(command) => {
                write!(f, "I/O decoding is off, COMMAND {command:#06x}")
            }
            Self::NoRegisters => f.write_str("the configuration space answers"),
        }
    }
}

/// What the PM core or the PCI core has the transport do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the memory is saved, or before an image of it is loaded.
    Freeze,
    /// After the memory was saved, or could not be.
    Thaw,
    /// Before the machine that has saved its memory is powered off.
    Poweroff,
    /// When the memory is that of the image.
    Restore,
    /// Before a sleep that keeps the memory.
    Suspend,
    /// After a sleep that keeps the memory.
    Resume,
    /// Before a reset by the PCI core.
    ResetPrepare,
    /// After a reset by the PCI core.
    ResetDone,
}

/// The names of the callbacks, in the order of [`Phase`].
const PHASES: [&str; Phase::ResetDone as usize + 1] = [
    "freeze",
    "thaw",
    "poweroff",
    "restore",
    "suspend",
    "resume",
    "reset_prepare",
    "reset_done",
];

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // CAST: The number of a variant.
        f.write_str(PHASES.get(*self as usize).unwrap_or(&""))
    }
}

/// An error code, as a negative number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// The names of the errors that are to be expected, by
/// [`include/uapi/asm-generic/errno.h`](srctree/include/uapi/asm-generic/errno.h).
const ERRNOS: [(i32, &str); 13] = [
    (2, "ENOENT"),
    (5, "EIO"),
    (6, "ENXIO"),
    (7, "E2BIG"),
    (11, "EAGAIN"),
    (12, "ENOMEM"),
    (16, "EBUSY"),
    (19, "ENODEV"),
    (22, "EINVAL"),
    (28, "ENOSPC"),
    (71, "EPROTO"),
    (95, "EOPNOTSUPP"),
    (110, "ETIMEDOUT"),
];

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, name) in ERRNOS {
            if self.0.checked_add(number) == Some(0) {
                return f.write_str(name);
            }
        }
        write!(f, "error {}", self.0)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StatusWritten(status) => write!(f, "status {status} written"),
            Self::StatusRead(status) => write!(f, "status {status} read"),
            Self::StatusRefused {
                current,
                wanted,
                why,
            } => write!(f, "status {wanted} not written after {current}: {why}"),
            Self::ResetFailed(error) => error.fmt(f),
            Self::Offered(features) => write!(f, "features {features:#010x} offered"),
            Self::Accepted(features) => write!(f, "features {features:#010x} accepted"),
            Self::FeaturesMissing(missing) => missing.fmt(f),
            Self::Virtqueue { index, num, pfn } => {
                write!(f, "virtqueue {index}: {num} entries at QUEUE_PFN {pfn:#x}")
            }
            Self::VirtqueueRefused { index, error } => write!(f, "virtqueue {index}: {error}"),
            Self::VectorRefused {
                index: Some(index),
                vector,
                read,
            } => write!(
                f,
                "virtqueue {index}: vector {vector} refused, reads as {read:#06x}"
            ),
            Self::VectorRefused {
                index: None,
                vector,
                read,
            } => write!(
                f,
                "configuration: vector {vector} refused, reads as {read:#06x}"
            ),
            Self::MsixMismatch { wanted } => {
                let (wanted, is) = if *wanted {
                    ("enabled", "0")
                } else {
                    ("disabled", "1")
                };
                write!(f, "MSI-X was {wanted}, but the enable bit is {is}")
            }
            Self::PolicyUsed(policy) => write!(f, "{policy}"),
            Self::PolicyRefused(policy, error) => write!(f, "not {policy}: {error}"),
            Self::VirtqueuesDeleted => f.write_str("virtqueues deleted"),
            Self::VirtqueuesDetached => f.write_str("virtqueues made that the device never sees"),
            Self::Begun(phase) => write!(f, "{phase} begun"),
            Self::Ended(phase, None) => write!(f, "{phase} ended"),
            Self::Ended(phase, Some(error)) => write!(f, "{phase} ended: {error}"),
            Self::Gone(absence) => {
                write!(f, "device is gone: registers read as all ones, {absence}")
            }
            Self::Absent => {
                f.write_str("device is gone: the configuration space reads as all ones")
            }
            Self::Alarm(status) => write!(f, "alarm: status {status} of a live device"),
            Self::AlarmWithdrawn => f.write_str("alarm withdrawn: the device answers"),
            Self::ResetSlow { limit_ms } => write!(
                f,
                "reset takes more than 1 s: waiting up to {limit_ms} ms (reset_timeout_ms)"
            ),
            Self::ResetComplete => f.write_str("reset complete"),
            Self::ResetNotPrepared(error) => write!(f, "reset not prepared: {error}"),
            Self::NotRecovered(error) => write!(f, "failed to recover after reset: {error}"),
            Self::Replaced => f.write_str("another device is in the slot"),
            Self::NotEnabled(error) => write!(f, "not enabled: {error}"),
            Self::NotRestored(error) => write!(f, "virtio driver not restored: {error}"),
            Self::VirtqueuesMissing { now, before } => {
                write!(f, "{now} of {before} virtqueues restored")
            }
            Self::HandshakeLost(lost) => lost.fmt(f),
            Self::Complaint(status) => {
                write!(f, "device asks for a reset: status {status}; rebind it")
            }
            Self::StatusLost { written, read } => {
                write!(f, "device has lost its status: {read} after {written}")
            }
            Self::HeldInReset => {
                f.write_str("held in reset, because its virtio driver cannot be frozen")
            }
            Self::SleepRefused => {
                f.write_str("sleep refused, because its virtio driver cannot be frozen")
            }
            Self::NotFrozen => {
                f.write_str("not frozen (EBUSY): its virtio driver would wait for a dead device")
            }
            Self::OutputBroken => f.write_str(
                "output stopped: no answer for 10 ms at a notification; rebind the device",
            ),
            Self::Detached => f.write_str("detached: no register is accessed; rebind the device"),
            Self::Unregistered => f.write_str("virtio device unregistered"),
            Self::Kept => f.write_str(
                "virtio device stays registered: the removal of its driver might not end",
            ),
        }
    }
}

/// An event with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Nanoseconds since the machine was booted.
    pub(crate) time: u64,
    /// What happened.
    pub(crate) event: Event,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.time / 1_000_000_000, self.time / 1_000 % 1_000_000);
        let name = self.event.name();
        write!(f, "[{seconds:5}.{micros:06}] {name}: {}", self.event)
    }
}

/// The last events, in memory that was given at the start.
///
/// `S` are the entries; nothing is recorded if there are none.
pub(crate) struct Journal<S> {
    entries: S,
    /// Number of events that were ever recorded.
    recorded: usize,
    /// The status that was read or written last.
    status: Option<Status>,
}

impl<S: DerefMut<Target = [Option<Entry>]>> Journal<S> {
    /// Starts with `entries` that are overwritten in turn.
    pub(crate) fn new(entries: S) -> Self {
        Self {
            entries,
            recorded: 0,
            status: None,
        }
    }

    /// Records an event, unless it is a status that was read and is that of before; `now` is the
    /// time in nanoseconds.
    pub(crate) fn record(&mut self, event: Event, now: impl FnOnce() -> u64) {
        match event {
            Event::StatusRead(status) if self.status.replace(status) == Some(status) => return,
            Event::StatusWritten(status) => self.status = Some(status),
            _ => {}
        }
        let entries = &mut *self.entries;
        let place = self.recorded.checked_rem(entries.len());
        if let Some(entry) = place.and_then(|place| entries.get_mut(place)) {
            *entry = Some(Entry { time: now(), event });
        }
        self.recorded = self.recorded.wrapping_add(1);
    }

    /// Number of events that were overwritten.
    pub(crate) fn lost(&self) -> usize {
        self.recorded.saturating_sub(self.entries.len())
    }

    /// The events that are left, the oldest one first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        let entries = &*self.entries;
        // Before the first one is overwritten, what follows the newest one is empty.
        let oldest = self.recorded.checked_rem(entries.len()).unwrap_or(0);
        let (newer, older) = entries.split_at_checked(oldest).unwrap_or((entries, &[]));
        older.iter().chain(newer).flatten()
    }
}
