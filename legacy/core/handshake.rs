// SPDX-License-Identifier: GPL-2.0

//! The only way from a reset to a live device.
//!
//! Virtio 1.4, 3.1.2 "Legacy Interface: Device Initialization". Each state is a type, each step
//! consumes the state before it and does the register accesses of that step, so that code which
//! sets up virtqueues before DRIVER and the accepted features, or which says DRIVER_OK before the
//! virtio driver is restored, does not compile. A handshake that is dropped unfinished sets FAILED.
//!
//! ```text
//! Reset -> Acknowledged -> DriverFound -> FeaturesAccepted -> QueuesRestored -> live
//!                |                               |
//!                stop: no driver is bound        hand_over: the driver goes on by itself
//! ```

use core::fmt;
use core::marker::PhantomData;

use super::status::Status;

/// The registers of a device, as a handshake uses them.
pub(crate) trait Registers {
    /// Reads the device status.
    fn read_status(&self) -> Status;

    /// Writes the device status and remembers it.
    fn write_status(&self, status: Status);

    /// The status that was written last, by the handshake or by the virtio driver.
    fn written_status(&self) -> Status;

    /// Reads the features that the device offers.
    fn offered_features(&self) -> u32;

    /// Writes the accepted features.
    fn accept_features(&self, features: u32);

    /// Waits a little for a reset to complete.
    ///
    /// Returns `false` when the time for it is over, as it must be for some `attempt`.
    fn wait_for_reset(&self, attempt: u32) -> bool;
}

/// Why a reset did not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetError {
    /// No device answers.
    Gone,
    /// The status did not become 0 in time.
    Incomplete(Status),
}

impl fmt::Display for ResetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => write!(f, "reset failed: status {}", Status::GONE),
            Self::Incomplete(status) => write!(f, "reset does not complete, status {status}"),
        }
    }
}

/// Reads of all ones in a row after which a device that is being reset is gone: one sample is no
/// proof. With a pause of at least 1 ms after each, this is a tenth of a second.
pub(crate) const GONE_READS: u32 = 100;

/// Number of pauses of 1 ms before those of [`LONG_PAUSE_MS`].
const SHORT_PAUSES: u32 = 100;

/// A pause between two reads of the status when a reset takes long, in ms.
const LONG_PAUSE_MS: u32 = 10;

/// How long a reset may take without a message, in ms.
pub(crate) const SLOW_RESET_MS: u32 = 1000;

/// How long the pauses before read number `attempt` of the status after a reset have taken, in ms.
pub(crate) fn waited_ms(attempt: u32) -> u32 {
    let long = attempt.saturating_sub(SHORT_PAUSES);
    attempt
        .min(SHORT_PAUSES)
        .saturating_add(long.saturating_mul(LONG_PAUSE_MS))
}

/// How long to pause after read number `attempt` of the status after a reset, in ms.
///
/// `None` when the pauses before have taken `limit_ms`.
pub(crate) fn reset_pause(attempt: u32, limit_ms: u32) -> Option<u32> {
    let pause = if attempt < SHORT_PAUSES {
        1
    } else {
        LONG_PAUSE_MS
    };
    (waited_ms(attempt) < limit_ms).then_some(pause)
}

/// Resets the device and waits, for a bounded time, until it says that it is done.
///
/// Virtio 1.4, 2.4 "Device Reset": a reset is complete when the status reads 0.
pub(crate) fn reset<D: Registers>(device: &D) -> Result<(), ResetError> {
    device.write_status(Status::RESET);
    let (mut attempt, mut gone) = (0, 0);
    loop {
        let error = match device.read_status() {
            Status::RESET => return Ok(()),
            Status::GONE => {
                gone += 1;
                ResetError::Gone
            }
            status => {
                gone = 0;
                ResetError::Incomplete(status)
            }
        };
        if gone == GONE_READS || !device.wait_for_reset(attempt) {
            return Err(error);
        }
        attempt = attempt.saturating_add(1);
    }
}

/// The device no longer offers features that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeaturesMissing {
    /// What the device offers now.
    pub(crate) offered: u32,
    /// What the driver uses.
    pub(crate) wanted: u32,
}

impl fmt::Display for FeaturesMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offered == u32::MAX {
            return f.write_str("offered features read as all ones: no device answers");
        }
        write!(
            f,
            "offered features {:#010x} lack {:#010x} of the accepted {:#010x}",
            self.offered,
            self.wanted & !self.offered,
            self.wanted,
        )
    }
}

/// The virtio driver's restore has reset the device and not taken it through the handshake again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandshakeLost {
    /// The status that was written last.
    pub(crate) status: Status,
}

impl fmt::Display for HandshakeLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "restored by its driver to status {}", self.status)
    }
}

/// State: the device was seen to be reset.
pub(crate) enum Reset {}
/// State: the device is acknowledged.
pub(crate) enum Acknowledged {}
/// State: the device knows that it has a driver.
pub(crate) enum DriverFound {}
/// State: the features are accepted; virtqueues may be set up.
pub(crate) enum FeaturesAccepted {}
/// State: the virtio driver has restored itself and its virtqueues.
pub(crate) enum QueuesRestored {}

/// A handshake with `device` that has come as far as `State`.
#[must_use = "an unfinished handshake sets FAILED"]
pub(crate) struct Handshake<'a, D: Registers, State> {
    unfinished: Unfinished<'a, D>,
    state: PhantomData<State>,
}

/// Sets FAILED when it is dropped.
struct Unfinished<'a, D: Registers>(&'a D);

impl<D: Registers> Unfinished<'_, D> {
    fn add_status(&self, bits: Status) {
        self.0.write_status(self.0.written_status().with(bits));
    }

    fn finish(self) {
        core::mem::forget(self);
    }
}

impl<D: Registers> Drop for Unfinished<'_, D> {
    fn drop(&mut self) {
        self.add_status(Status::FAILED);
    }
}

impl<'a, D: Registers, State> Handshake<'a, D, State> {
    fn into_state<Next>(self) -> Handshake<'a, D, Next> {
        Handshake {
            unfinished: self.unfinished,
            state: PhantomData,
        }
    }
}

impl<'a, D: Registers> Handshake<'a, D, Reset> {
    /// Resets the device; every handshake begins here.
    ///
    /// # Errors
    ///
    /// The device is gone, or it does not complete the reset; the latter leaves it FAILED.
    pub(crate) fn begin(device: &'a D) -> Result<Self, ResetError> {
        let unfinished = Unfinished(device);
        match reset(device) {
            Ok(()) => Ok(Self {
                unfinished,
                state: PhantomData,
            }),
            Err(ResetError::Gone) => {
                unfinished.finish();
                Err(ResetError::Gone)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes over a reset that was begun before, if it is complete by now; does not wait.
    ///
    /// # Errors
    ///
    /// It is not complete; the device is left alone.
    pub(crate) fn take_over(device: &'a D) -> Result<Self, Status> {
        match device.read_status() {
            Status::RESET => Ok(Self {
                unfinished: Unfinished(device),
                state: PhantomData,
            }),
            status => Err(status),
        }
    }

    /// Acknowledges the device, and puts back FAILED if it was set before a freeze.
    pub(crate) fn acknowledge(self, failed_before: bool) -> Handshake<'a, D, Acknowledged> {
        self.unfinished.add_status(Status::ACKNOWLEDGE);
        if failed_before {
            self.unfinished.add_status(Status::FAILED);
        }
        self.into_state()
    }
}

impl<'a, D: Registers> Handshake<'a, D, Acknowledged> {
    /// Ends here: no driver is bound, or the bound one cannot be restored.
    pub(crate) fn stop(self) {
        self.unfinished.finish();
    }

    /// Tells the device that it has a driver.
    pub(crate) fn driver(self) -> Handshake<'a, D, DriverFound> {
        self.unfinished.add_status(Status::DRIVER);
        self.into_state()
    }
}

impl<'a, D: Registers> Handshake<'a, D, DriverFound> {
    /// Accepts `wanted` if the device offers all of it.
    ///
    /// # Errors
    ///
    /// A feature is not offered (any more), or no device answers; the device is left FAILED.
    pub(crate) fn accept_features(
        self,
        wanted: u32,
    ) -> Result<Handshake<'a, D, FeaturesAccepted>, FeaturesMissing> {
        let offered = self.unfinished.0.offered_features();
        // All ones is what a device that is gone offers.
        if wanted & !offered != 0 || offered == u32::MAX {
            return Err(FeaturesMissing { offered, wanted });
        }
        self.unfinished.0.accept_features(wanted);
        Ok(self.into_state())
    }
}

impl<'a, D: Registers> Handshake<'a, D, FeaturesAccepted> {
    /// Runs `restore`, which restores the virtio driver and with it the virtqueues.
    ///
    /// # Errors
    ///
    /// That of `restore`; the device is left FAILED.
    pub(crate) fn restore_queues<E>(
        self,
        restore: impl FnOnce() -> Result<(), E>,
    ) -> Result<Handshake<'a, D, QueuesRestored>, E> {
        restore()?;
        Ok(self.into_state())
    }

    /// Ends here, where a virtio driver that is being probed takes over.
    pub(crate) fn hand_over(self) {
        self.unfinished.finish();
    }
}

impl<D: Registers> Handshake<'_, D, QueuesRestored> {
    /// Sets the device live, unless the virtio driver has done so while it was restored.
    ///
    /// # Errors
    ///
    /// The virtio driver has left the device without ACKNOWLEDGE and DRIVER; it is left FAILED.
    pub(crate) fn live(self) -> Result<(), HandshakeLost> {
        let status = self.unfinished.0.written_status();
        if !status.contains(Status::ACKNOWLEDGE.with(Status::DRIVER)) {
            return Err(HandshakeLost { status });
        }
        if !status.contains(Status::DRIVER_OK) {
            self.unfinished.add_status(Status::DRIVER_OK);
        }
        self.unfinished.finish();
        Ok(())
    }
}
