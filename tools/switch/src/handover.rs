// SPDX-License-Identifier: GPL-2.0

//! The handover of one device, and the way back if the other driver does not take it.

use std::fs::File;
use std::path::Path;

use anyhow::{bail, Context as _, Result};

use crate::devices::{link_name, Device};
use crate::uses::{self, State};
use crate::{Driver, Kernel};

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The driver had the device before.
    Already,
    /// It would have been handed over.
    Would,
    /// It was handed over.
    HandedOver,
}

/// Hands a device over to a driver, unless it is in use.
pub(crate) fn hand_over(
    kernel: &Kernel<'_>,
    device: &Device,
    to: Driver,
    dry_run: bool,
) -> Result<Done> {
    let from = device.driver.as_deref();
    if from == Some(to.name()) {
        return Ok(Done::Already);
    }
    let is_other = |name: &&str| ![Driver::C, Driver::Rust].map(Driver::name).contains(name);
    if let Some(other) = from.filter(is_other) {
        bail!("refused, it belongs to the driver {other}; unbind it from there first");
    }
    let kept = driver_override(kernel, device)?;
    if !kept.is_empty() && is_other(&&*kept) {
        bail!(
            "refused, its driver_override is {kept}; clear that first: \
             echo >/sys/bus/pci/devices/{}/driver_override",
            device.address
        );
    }
    let claims = match uses::of(kernel, device)? {
        State::Free(claims) => claims,
        State::Used(uses) => bail!(
            "refused, it is in use: {}; see virtio-pci-rs-switch(8)",
            uses.join("; ")
        ),
    };
    if dry_run {
        return Ok(Done::Would);
    }
    let bound = bind(kernel, device, to.name(), &kept, claims);
    if driver_of(kernel, device).as_deref() == Some(to.name()) {
        return bound.map(|()| Done::HandedOver);
    }
    let why = bound.map_or_else(
        |error| format!("{error:#}"),
        |()| format!("{} did not take it", to.name()),
    );
    let now = give_back(kernel, device, from, &kept);
    bail!("{why}, and {now}; see dmesg");
}

/// Gives the device back to the driver that it had, and its `driver_override` as well; says who has
/// it then.
fn give_back(kernel: &Kernel<'_>, device: &Device, from: Option<&str>, kept: &str) -> String {
    let Some(from) = from else {
        return "it has no driver, as before".to_owned();
    };
    if driver_of(kernel, device).as_deref() == Some(from) {
        return format!("{from} still has it");
    }
    let bound = bind(kernel, device, from, kept, Vec::new());
    match (driver_of(kernel, device), bound) {
        (Some(name), _) if name == from => format!("{from} has it again"),
        (Some(name), _) => format!("{name} has it, not {from}"),
        (None, Ok(())) => format!("{from} did not take it back: it has no driver"),
        (None, Err(error)) => format!("{from} did not take it back: {error:#}"),
    }
}

/// The driver that the device has now.
fn driver_of(kernel: &Kernel<'_>, device: &Device) -> Option<String> {
    let path = kernel.path("sys/bus/pci/devices").join(&device.address);
    link_name(&path.join("driver"))
}

/// The one driver that the device may be offered to; empty if that is not set.
fn driver_override(kernel: &Kernel<'_>, device: &Device) -> Result<String> {
    let path = kernel.path("sys/bus/pci/devices").join(&device.address);
    let path = path.join("driver_override");
    let text = std::fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(match text.trim_end() {
        "(null)" => String::new(),
        name => name.to_owned(),
    })
}

/// Has the kernel offer the device to one driver only, and sets the `driver_override` that it had.
///
/// The claims end when it has lost the driver that it had.
fn bind(
    kernel: &Kernel<'_>,
    device: &Device,
    driver: &str,
    kept: &str,
    claims: Vec<File>,
) -> Result<()> {
    let path = kernel.path("sys/bus/pci/devices").join(&device.address);
    let write = |path: &Path, text: &str| {
        (kernel.write)(path, text).with_context(|| format!("cannot write to {}", path.display()))
    };
    let only = path.join("driver_override");
    write(&only, driver)?;
    let bound = path.join("driver");
    let offered = if bound.exists() {
        write(&bound.join("unbind"), &device.address)
    } else {
        Ok(())
    };
    // A disk that is open keeps its name from the one that the next driver makes.
    drop(claims);
    // A driver that refuses the device makes this fail; the caller looks who has it.
    let offered = offered.map(|()| {
        let _ = write(&kernel.path("sys/bus/pci/drivers_probe"), &device.address);
    });
    write(&only, &format!("{kept}\n"))?;
    offered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    const DISK: &str = "0000:00:04.0";

    fn hand(fake: &Fake, to: Driver) -> Result<Done> {
        let kernel = fake.kernel();
        hand_over(&kernel, &Device::find(&kernel, DISK)?, to, false)
    }

    #[test]
    fn a_device_goes_there_and_back() {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "virtio-pci");
        assert_eq!(hand(&fake, Driver::C).unwrap(), Done::Already);
        assert_eq!(hand(&fake, Driver::Rust).unwrap(), Done::HandedOver);
        assert_eq!(fake.driver(DISK), "virtio_pci_rs");
        assert_eq!(hand(&fake, Driver::C).unwrap(), Done::HandedOver);
        assert_eq!(fake.driver(DISK), "virtio-pci");
        // Neither driver is forced on the device for ever.
        assert_eq!(fake.writes().last().unwrap(), "driver_override \n");
    }

    #[test]
    fn the_disk_is_claimed_until_it_has_lost_its_driver() {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "virtio-pci");
        hand(&fake, Driver::Rust).unwrap();
        let claimed = fake.writes_while_claimed();
        assert!(claimed.contains(&format!("unbind {DISK}")), "{claimed:?}");
        assert!(
            !claimed.contains(&format!("drivers_probe {DISK}")),
            "{claimed:?}"
        );
    }

    #[test]
    fn a_device_in_use_keeps_its_driver() {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "virtio-pci");
        fake.mount("254:0", "/dev/vda", "/");
        let error = hand(&fake, Driver::Rust).unwrap_err().to_string();
        assert!(error.contains("vda is mounted on /"), "{error}");
        assert_eq!(fake.writes(), [""; 0]);
    }

    #[test]
    fn a_device_that_is_not_taken_goes_back() {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "virtio-pci");
        fake.refuse("virtio_pci_rs");
        let error = hand(&fake, Driver::Rust).unwrap_err().to_string();
        assert!(error.contains("virtio-pci has it again"), "{error}");
        assert_eq!(fake.driver(DISK), "virtio-pci");
    }

    #[test]
    fn a_device_that_neither_driver_takes_is_reported() {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "virtio-pci");
        fake.refuse("virtio_pci_rs");
        fake.refuse("virtio-pci");
        let error = hand(&fake, Driver::Rust).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "virtio_pci_rs did not take it, and virtio-pci did not take it back: \
                 it has no driver"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_device_that_cannot_be_unbound_is_not_offered() {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "virtio-pci");
        fake.keep();
        let error = hand(&fake, Driver::Rust).unwrap_err().to_string();
        assert!(error.contains("unbind"), "{error}");
        assert!(error.contains("virtio-pci still has it"), "{error}");
        assert!(!fake
            .writes()
            .iter()
            .any(|write| write.starts_with("drivers_probe")));
    }

    #[test]
    fn a_device_of_another_driver_is_left_alone() {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "vfio-pci");
        let error = hand(&fake, Driver::Rust).unwrap_err().to_string();
        assert!(error.contains("vfio-pci"), "{error}");
    }

    #[test]
    fn an_override_of_the_user_is_kept() {
        for of_user in ["virtio-pci", "virtio_pci_rs"] {
            let fake = Fake::new();
            fake.disk(DISK, "vda", "254:0", "virtio-pci");
            fake.only(DISK, of_user);
            assert_eq!(hand(&fake, Driver::Rust).unwrap(), Done::HandedOver);
            let last = fake.writes().pop().unwrap();
            assert_eq!(last, format!("driver_override {of_user}\n"));
        }
    }

    #[test]
    fn an_override_of_another_driver_is_refused() {
        let fake = Fake::new();
        fake.disk(DISK, "vda", "254:0", "virtio-pci");
        fake.only(DISK, "vfio-pci");
        let error = hand(&fake, Driver::Rust).unwrap_err().to_string();
        assert!(error.contains("driver_override is vfio-pci"), "{error}");
        assert_eq!(fake.writes(), [""; 0]);
    }
}
