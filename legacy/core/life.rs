// SPDX-License-Identifier: GPL-2.0

//! The life cycle of a device: what it is in, and which events may follow.
//!
//! ```text
//!            ResetSlow                 Alarm
//!      New ───────────▶ AwaitingReset  ┌───────────▶ Suspect ──┐
//!       │ ResetComplete       │        │ AlarmWithdrawn        │
//!       └──────────▶ Working ◀┴────────┴──────────────◀        │
//!                     │    ▲                                   │
//!                Stop │    │ Started                           │ Lost
//!                     ▼    │                                   ▼
//!      Stopping ─▶ Stopped ─▶ Starting ── Lost ──────────▶ Detached
//!            Stopped     Start  ▲                               │ │
//!                               └ Start, if the driver is frozen┘ │ Leave
//!      Leave, from each state but Stopping, Stopped, Starting  ▼
//!      ──────────────────────────────────────────────────▶ Leaving
//! ```
//!
//! `docs/architecture.md` argues the recovery of a device from this.

use core::fmt;

/// Why a device is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The system sleeps: suspend, freeze or poweroff.
    Sleep,
    /// The PCI core resets the device.
    Reset,
}

/// What is to be done when a stopped device is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// No virtio driver is bound, or it was restored: acknowledge the device.
    Idle,
    /// The virtio driver is frozen: take both through the handshake.
    Frozen,
    /// The virtio driver cannot be frozen and the device was reset: acknowledge the device.
    InReset,
    /// The device keeps its state: do nothing.
    Live,
    /// The virtio driver knows nothing of the reset by the PCI core: acknowledge the device.
    Unprepared,
}

/// The virtio driver of a detached device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// It may be frozen and removed.
    Running,
    /// It was frozen, and must be restored before it is frozen again or removed.
    Frozen(Cause),
}

/// A state of the life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The first reset is not complete.
    New,
    /// The first reset takes long; since when, in ms modulo 2^32. The device is registered, and no
    /// virtio driver is bound.
    AwaitingReset(u32),
    /// The device is in use, or waits for a virtio driver.
    Working,
    /// As [`Life::Working`], after a check that found the device dead; when, in ms. A check that is
    /// late enough after it decides.
    Suspect(u32),
    /// The device is being stopped.
    Stopping(Cause),
    /// The device is stopped. Except for [`Held::Live`] and [`Held::Unprepared`], registers are not
    /// accessed.
    Stopped(Cause, Held),
    /// The device is being started again.
    Starting(Cause, Held),
    /// Registers are no longer accessed, until the device is bound again. The second field is
    /// the cause while the device would be stopped.
    Detached(Driver, Option<Cause>),
    /// The virtio device is being or was unregistered.
    Leaving,
}

/// Something that happens to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LifeEvent {
    /// The first reset is not complete after a second; the time, in ms.
    ResetSlow(u32),
    /// The first reset has completed.
    ResetComplete,
    /// A check has found the device dead; the time, in ms.
    Alarm(u32),
    /// The check after that has found it alive.
    AlarmWithdrawn,
    /// The device can no longer be used.
    Lost,
    /// A sleep or a reset begins.
    Stop(Cause),
    /// The device is stopped.
    Stopped(Held),
    /// The device is not stopped, since its virtio driver refuses or would wait forever.
    StopFailed,
    /// The sleep or the reset is over. A device that was lost before gets another chance.
    Start,
    /// The virtio driver was restored, when the device was stopped or later.
    DriverRestored,
    /// The device works again, or is lost.
    Started,
    /// The virtio device is unregistered: the device is unbound, removed, or lost.
    Leave,
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IllegalEvent {
    /// The state, which stays.
    pub(crate) state: Life,
    /// The event.
    pub(crate) event: LifeEvent,
}

impl fmt::Display for IllegalEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (event, state) = (self.event.name(), self.state.name());
        write!(f, "event {event} in state {state}")
    }
}

impl LifeEvent {
    fn name(self) -> &'static str {
        match self {
            Self::ResetSlow(_) => "ResetSlow",
            Self::ResetComplete => "ResetComplete",
            Self::Alarm(_) => "Alarm",
            Self::AlarmWithdrawn => "AlarmWithdrawn",
            Self::Lost => "Lost",
            Self::Stop(_) => "Stop",
            Self::Stopped(_) => "Stopped",
            Self::StopFailed => "StopFailed",
            Self::Start => "Start",
            Self::DriverRestored => "DriverRestored",
            Self::Started => "Started",
            Self::Leave => "Leave",
        }
    }
}

impl Life {
    /// The state after `event`.
    ///
    /// # Errors
    ///
    /// The event is illegal in this state.
    pub(crate) fn after(self, event: LifeEvent) -> Result<Self, IllegalEvent> {
        use LifeEvent as E;
        let next = match (self, event) {
            (Self::New | Self::Working, E::ResetSlow(now)) => Self::AwaitingReset(now),
            (Self::New | Self::AwaitingReset(_), E::ResetComplete)
            | (Self::Suspect(_), E::AlarmWithdrawn)
            | (Self::Stopping(_), E::StopFailed)
            | (Self::Starting(..), E::Started) => Self::Working,
            (Self::Working, E::Alarm(now)) => Self::Suspect(now),

            (Self::AwaitingReset(_) | Self::Working | Self::Suspect(_), E::Stop(cause)) => {
                Self::Stopping(cause)
            }
            (Self::Stopping(cause), E::Stopped(held)) => Self::Stopped(cause, held),
            (Self::Stopped(cause, held), E::Start) => Self::Starting(cause, held),
            (Self::Starting(cause, Held::Frozen), E::DriverRestored) => {
                Self::Starting(cause, Held::Idle)
            }

            (Self::New | Self::AwaitingReset(_) | Self::Working | Self::Suspect(_), E::Lost) => {
                Self::Detached(Driver::Running, None)
            }
            (Self::Stopping(cause), E::Lost) => Self::Detached(Driver::Running, Some(cause)),
            (Self::Stopped(cause, held) | Self::Starting(cause, held), E::Lost) => {
                Self::Detached(held.driver(cause), Some(cause))
            }

            (Self::Detached(driver, None), E::Stop(cause)) => Self::Detached(driver, Some(cause)),
            (Self::Detached(_, Some(cause)), E::Stopped(Held::Frozen)) => {
                Self::Detached(Driver::Frozen(cause), Some(cause))
            }
            (Self::Detached(Driver::Frozen(cause), Some(_)), E::Start) => {
                Self::Starting(cause, Held::Frozen)
            }
            (Self::Detached(driver, Some(_)), E::StopFailed | E::Started) => {
                Self::Detached(driver, None)
            }
            (Self::Detached(Driver::Frozen(_), stopped), E::DriverRestored) => {
                Self::Detached(Driver::Running, stopped)
            }

            (
                Self::New
                | Self::AwaitingReset(_)
                | Self::Working
                | Self::Suspect(_)
                | Self::Detached(..),
                E::Leave,
            ) => Self::Leaving,

            (Self::Detached(..), E::Lost)
            | (Self::Detached(_, Some(_)), E::Stopped(_))
            | (Self::Detached(Driver::Running, Some(_)), E::Start)
            | (Self::Leaving, E::Lost | E::Stop(_) | E::Start | E::Leave) => self,

            _ => return Err(IllegalEvent { state: self, event }),
        };
        Ok(next)
    }

    fn name(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::AwaitingReset(_) => "AwaitingReset",
            Self::Working => "Working",
            Self::Suspect(_) => "Suspect",
            Self::Stopping(_) => "Stopping",
            Self::Stopped(..) => "Stopped",
            Self::Starting(..) => "Starting",
            Self::Detached(..) => "Detached",
            Self::Leaving => "Leaving",
        }
    }

    /// Whether registers are no longer accessed.
    pub(crate) fn is_detached(self) -> bool {
        matches!(self, Self::Detached(..))
    }

    /// Whether the virtio driver is being restored.
    pub(crate) fn is_restoring(self) -> bool {
        matches!(self, Self::Starting(_, Held::Frozen))
    }

    /// Whether debugfs may read registers.
    pub(crate) fn has_registers(self) -> bool {
        matches!(self, Self::New | Self::Working | Self::Suspect(_))
    }

    /// Whether the virtio driver of a detached device may be removed now.
    pub(crate) fn may_leave(self) -> bool {
        matches!(self, Self::Detached(Driver::Running, None))
    }

    /// Why the virtio driver of a detached device is frozen, if it is.
    pub(crate) fn frozen(self) -> Option<Cause> {
        match self {
            Self::Detached(Driver::Frozen(cause), _) => Some(cause),
            _ => None,
        }
    }
}

impl Held {
    /// The virtio driver of a device that is lost while it is stopped for `cause`.
    fn driver(self, cause: Cause) -> Driver {
        match self {
            Self::Frozen => Driver::Frozen(cause),
            _ => Driver::Running,
        }
    }
}
