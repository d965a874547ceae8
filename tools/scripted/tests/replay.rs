// SPDX-License-Identifier: GPL-2.0

//! Recorded handshakes, played to a strict device over its socket: that of today is accepted, and
//! that of before the 2014 fix is not.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use scripted::{Config, Device, Kind};
use vfio_user::Client;
use virtio_check::access::{Access, Register};
use virtio_check::{pre_2014, Breach, DeviceInfo, DeviceTrace, Lane, Phase, Run};

/// The region with the registers.
const BAR0: u32 = 0;
/// The region with the PCI configuration space.
const SPACE: u32 = 7;
/// I/O ports, memory and bus mastering are on.
const COMMAND: [u8; 2] = [0x07, 0x00];
/// Where the control word of the MSI-X capability is.
const MSIX_CONTROL: u64 = 0x42;
/// The length of the guest's memory, which all recorded rings are in.
const MEMORY: u64 = 1 << 32;

/// The recorded source of random numbers: `c-msix`, `rust-msix`, `c-intx` or `rust-intx`.
fn load(name: &str) -> Run {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../virtio-check/fixtures");
    let bar_base = match name.ends_with("msix") {
        true => 0xc160,
        false => 0xc140,
    };
    let rng = DeviceInfo {
        name: "rng".to_owned(),
        bar_base,
        bar_len: 0x20,
        ..DeviceInfo::default()
    };
    let mut run = Run::load(&fixtures.join(format!("{name}.txt")), &[rng]).unwrap();
    run.devices.retain(|device| device.name == "rng");
    run
}

/// The first value that was read.
fn first_read(device: &DeviceTrace, register: Register) -> u64 {
    let mut accesses = device.segments.iter().flat_map(|s| &s.accesses);
    accesses.find(|a| a.reads(register)).unwrap().value
}

fn offset(register: Register) -> u64 {
    let found = |offset: &u64| Register::at(*offset, true) == register;
    (0..24).find(found).unwrap()
}

fn play(client: &mut Client, access: &Access) {
    let offset = offset(access.register);
    let mut bytes = access.value.to_le_bytes();
    let bytes = &mut bytes[..usize::from(access.size)];
    match access.write {
        true => client.region_write(BAR0, offset, bytes).unwrap(),
        false => client.region_read(BAR0, offset, bytes).unwrap(),
    }
}

/// The breaches that a strict device sees when a recorded run is played to it.
fn breaches(run: &Run) -> Vec<Breach> {
    played(run, None)
}

/// Plays a recorded run to a strict device, which may log it.
fn played(run: &Run, log: Option<PathBuf>) -> Vec<Breach> {
    let dir = tempfile::tempdir().unwrap();
    let trace = &run.devices[0];
    let config = Config {
        features: Some(first_read(trace, Register::HostFeatures) as u32),
        queue_sizes: Some(vec![first_read(trace, Register::QueueNum) as u16]),
        log,
        ..Config::new("rng", Kind::Rng, if trace.msix { 2 } else { 0 })
    };
    let socket = dir.path().join("socket");
    let device = Device::start(&config, &socket).unwrap();
    let mut client = Client::new(&socket).unwrap();
    let memory = tempfile::tempfile().unwrap();
    memory.set_len(MEMORY).unwrap();
    client.dma_map(0, 0, MEMORY, memory.as_raw_fd()).unwrap();
    client.region_write(SPACE, 0x04, &COMMAND).unwrap();
    if trace.msix {
        let control = [0x01, 0x80];
        client.region_write(SPACE, MSIX_CONTROL, &control).unwrap();
    }
    for segment in &trace.segments {
        device.set_sleeping(matches!(segment.phase, Phase::Freeze | Phase::Restore));
        for access in &segment.accesses {
            play(&mut client, access);
        }
    }
    device.take_breaches()
}

#[test]
fn what_the_drivers_do_today_is_accepted() {
    for name in ["c-msix", "rust-msix", "c-intx", "rust-intx"] {
        assert_eq!(breaches(&load(name)), [], "{name}");
    }
}

#[test]
fn the_order_of_before_2014_is_a_breach_in_each_restore() {
    for name in ["c-msix", "rust-msix", "c-intx", "rust-intx"] {
        let found = breaches(&pre_2014(&load(name)));
        let phases: BTreeSet<_> = found.iter().map(|breach| breach.phase).collect();
        assert_eq!(phases, BTreeSet::from([Phase::Restore]), "{name}");
        let rules: BTreeSet<_> = found.iter().map(|breach| breach.rule.id).collect();
        let expected = ["driver-before-features", "driver-before-queues"];
        assert_eq!(rules, BTreeSet::from(expected), "{name}");
        let first = found[0].to_string();
        assert!(first.contains("3.1.1 Device Initialization"), "{first}");
        assert!(first.contains("> "), "{first}");
    }
}

#[test]
fn the_log_of_a_device_gives_the_verdict_of_the_device() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    for (name, msix) in [("rust-msix", true), ("c-intx", false)] {
        for run in [load(name), pre_2014(&load(name))] {
            let seen: BTreeSet<_> = played(&run, Some(log.clone()))
                .iter()
                .map(|breach| breach.rule.id)
                .collect();
            let lane = Lane::read("log", &log, &[]).unwrap();
            let [verdict] = &lane.verdicts[..] else {
                panic!("{lane:?}");
            };
            assert_eq!((verdict.device.as_str(), verdict.msix), ("rng", msix));
            let phases: BTreeSet<_> = verdict.parts.iter().map(|part| part.phase).collect();
            assert!(phases.contains(&Phase::Restore), "{phases:?}");
            let findings = verdict.findings.iter();
            let broken = findings
                .filter(|(_, f)| f.broken != 0)
                .map(|(rule, _)| rule.id);
            assert_eq!(broken.collect::<BTreeSet<_>>(), seen, "{name}");
        }
    }
}
