// SPDX-License-Identifier: GPL-2.0

//! The comparison finds both drivers equal but for what is intended, and nothing else so.

mod common;

use common::{access, load, phase, read, write, write_of};
use std::collections::BTreeSet;
use virtio_check::access::{Access, Register};
use virtio_check::{compare, Observations, Phase, Report, Run, Segment, INTENDED};

/// An edit that makes a difference.
type Edit = fn(&mut Vec<Access>);

fn edited(name: &str, in_phase: Phase, edit: Edit) -> Run {
    let mut run = load(name);
    edit(phase(&mut run, in_phase));
    run
}

fn with_rust(rust: &Run) -> Report {
    compare(&load("c-msix"), rust, INTENDED)
}

#[test]
fn the_drivers_are_equal_but_for_what_is_intended() {
    let msix = with_rust(&load("rust-msix"));
    assert!(msix.ok(), "{msix}");
    let ids = [
        "config-stable-read",
        "config-width",
        "features-reread",
        "no-teardown-after-reset",
        "sel-once",
        "status-not-reread",
    ];
    assert_eq!(msix.seen(), BTreeSet::from(ids));
    let intx = compare(&load("c-intx"), &load("rust-intx"), INTENDED);
    assert!(intx.ok(), "{intx}");
    assert!(intx.seen().contains("isr-after-reset"));
}

#[test]
fn what_is_not_named_is_a_failure() {
    let named: Vec<_> = INTENDED
        .iter()
        .filter(|i| i.id != "sel-once")
        .copied()
        .collect();
    let report = compare(&load("c-msix"), &load("rust-msix"), &named);
    assert!(!report.ok());
    assert!(report
        .unexplained()
        .all(|d| d.c.contains("4 SEL") && d.rust.contains("1 SEL")));
}

#[test]
fn other_differences_are_failures() {
    let edits: &[(Phase, Edit)] = &[
        (Phase::Probe, |a| {
            let at = write(a, Register::GuestFeatures);
            a[at].value &= !(1 << 28);
        }),
        (Phase::Probe, |a| {
            let at = a.iter().position(Access::is_config).unwrap();
            a[at].value ^= 1;
        }),
        (Phase::Probe, |a| {
            let at = a.iter().position(Access::is_config).unwrap();
            a.remove(at);
        }),
        (Phase::Restore, |a| {
            let at = read(a, Register::QueuePfn);
            a.remove(at);
        }),
        (Phase::Restore, |a| {
            let at = write(a, Register::QueueVector);
            a[at].value = 0;
            a[at + 1].value = 0;
        }),
        (Phase::Restore, |a| {
            let at = write_of(a, Register::Status, 7);
            a.truncate(at);
        }),
        (Phase::Restore, |a| {
            let at = write_of(a, Register::Status, 3);
            a.insert(at, access(Register::Status, false, 1));
            a.insert(at, access(Register::Status, true, 0x81));
        }),
        (Phase::Freeze, |a| {
            a.push(access(Register::QueueSel, true, 0))
        }),
        (Phase::Freeze, |a| a.clear()),
        (Phase::Remove, |a| {
            a.pop();
        }),
    ];
    for (n, (in_phase, edit)) in edits.iter().enumerate() {
        let report = with_rust(&edited("rust-msix", *in_phase, *edit));
        assert!(!report.ok(), "edit {n}");
        assert!(report.unexplained().next().is_some(), "edit {n}: {report}");
    }
}

#[test]
fn ring_addresses_and_notifications_do_not_matter() {
    let rust = edited("rust-msix", Phase::Probe, |a| {
        let at = write(a, Register::QueuePfn);
        a[at].value += 1;
        a.push(access(Register::QueueNotify, true, 0));
    });
    let report = with_rust(&rust);
    assert!(report.ok(), "{report}");
}

#[test]
fn the_c_driver_takes_what_the_design_says() {
    for name in ["msix", "intx"] {
        let report = compare(
            &load(&format!("c-{name}")),
            &load(&format!("rust-{name}")),
            &[],
        );
        for phase in report.devices.iter().flat_map(|d| &d.phases) {
            assert_eq!(
                phase.cost.c.handshake, phase.cost.design,
                "{:?}",
                phase.phase
            );
        }
    }
}

#[test]
fn too_many_accesses_are_a_failure() {
    let report = with_rust(&load("c-msix"));
    assert!(report.differences.is_empty());
    assert!(!report.ok());
    assert!(report.to_string().contains("TOO LONG"));
}

#[test]
fn a_missing_device_is_a_failure() {
    let mut fewer = load("rust-msix");
    fewer.devices.pop();
    for (c, rust) in [(&load("rust-msix"), &fewer), (&fewer, &load("rust-msix"))] {
        let report = compare(c, rust, INTENDED);
        let devices: Vec<_> = report.unexplained().map(|d| d.device.as_str()).collect();
        assert_eq!(devices, ["rng"]);
    }
    assert!(!compare(&Run::default(), &Run::default(), INTENDED).ok());
    assert!(!Report::default().ok());
}

#[test]
fn a_missing_phase_is_a_failure() {
    let mut fewer = load("rust-msix");
    fewer.devices[0]
        .segments
        .retain(|s| s.phase != Phase::Remove);
    for (c, rust) in [(&load("rust-msix"), &fewer), (&fewer, &load("rust-msix"))] {
        let report = compare(c, rust, INTENDED);
        let phases: Vec<_> = report.unexplained().map(|d| d.phase).collect();
        assert!(phases.contains(&Some(Phase::Remove)), "{phases:?}");
    }
    let empty = |name| {
        let mut run = load(name);
        run.devices.iter_mut().for_each(|d| d.segments.clear());
        run
    };
    assert!(!compare(&empty("c-msix"), &empty("rust-msix"), INTENDED).ok());
}

#[test]
fn what_both_do_wrong_is_a_failure() {
    let early = |name| {
        edited(name, Phase::Probe, |a| {
            let at = write_of(a, Register::Status, 7);
            a.insert(at, access(Register::QueueNotify, true, 0));
        })
    };
    let report = compare(&early("c-msix"), &early("rust-msix"), INTENDED);
    assert!(report.unexplained().next().is_none());
    assert_eq!(report.breaches().count(), 2);
    assert!(!report.ok());
    let balloon = |mut run: Run| {
        run.devices[0].name = "balloon".into();
        run
    };
    let known = compare(
        &balloon(early("c-msix")),
        &balloon(early("rust-msix")),
        INTENDED,
    );
    assert!(known.ok(), "{known}");
}

#[test]
fn a_teardown_is_superfluous_only_after_a_reset() {
    let c = edited("c-msix", Phase::Probe, |a| {
        a.push(access(Register::ConfigVector, true, 0xffff));
        a.push(access(Register::ConfigVector, false, 0xffff));
    });
    let report = compare(&c, &load("rust-msix"), INTENDED);
    let steps: Vec<_> = report.unexplained().map(|d| d.c.as_str()).collect();
    assert_eq!(steps[0], "CONFIG_VECTOR = none ok");
}

#[test]
fn the_state_is_compared_where_the_steps_are_equal() {
    let c = edited("rust-msix", Phase::Freeze, |a| a.truncate(1));
    let mut rust = c.clone();
    phase(&mut rust, Phase::Between).push(access(Register::ConfigVector, true, 5));
    let report = compare(&c, &rust, INTENDED);
    let phases: Vec<_> = report.unexplained().map(|d| d.phase).collect();
    assert!(phases.contains(&Some(Phase::Freeze)), "{phases:?}");
}

#[test]
fn the_state_after_io_is_compared() {
    let rust = edited("rust-msix", Phase::Io, |a| {
        a.push(access(Register::Status, true, 0x87));
    });
    let report = with_rust(&rust);
    let phases: Vec<_> = report.unexplained().map(|d| d.phase).collect();
    assert_eq!(phases[0], Some(Phase::Io), "{report}");
}

#[test]
fn another_interrupt_mode_is_a_failure() {
    let mut rust = load("rust-msix");
    rust.devices[0].msix = false;
    assert!(!with_rust(&rust).ok());
}

#[test]
fn what_the_guest_saw_is_compared() {
    let seen = |interrupt: &str, features: &str| Observations {
        interrupts: vec![interrupt.into()],
        features: features.into(),
        ..Observations::default()
    };
    let mut report = with_rust(&load("rust-msix"));
    report.observe(
        "blk",
        &seen("virtio0-req.0", "01"),
        &seen("virtio4-req.0", "01"),
    );
    assert!(report.ok());
    report.observe(
        "rng",
        &seen("virtio0-input", "01"),
        &seen("virtio0-input", "11"),
    );
    assert!(!report.ok());
    let mut report = with_rust(&load("rust-msix"));
    report.observe("net", &seen("", ""), &seen("", ""));
    assert!(!report.ok());
}

#[test]
fn a_sleep_under_one_mark_is_split() {
    for device in &load("rust-msix").devices {
        let sleep: Vec<_> = device
            .segments
            .iter()
            .filter(|s| matches!(s.phase, Phase::Freeze | Phase::Restore))
            .map(|s| (s.phase, s.accesses.len()))
            .collect();
        let expected = match device.name.as_str() {
            "blk" => [(Phase::Freeze, 3), (Phase::Restore, 17)],
            _ => [(Phase::Freeze, 3), (Phase::Restore, 18)],
        };
        assert_eq!(sleep, expected, "{}", device.name);
    }
}

/// A sleep of a device whose virtio driver has neither freeze nor restore.
fn unfrozen(is_c: bool) -> (Run, Run) {
    let mut c = load("c-msix");
    let mut rust = load("rust-msix");
    for run in [&mut c, &mut rust] {
        run.devices.truncate(1);
        run.devices[0].name = "9p".into();
    }
    let c_freeze = phase(&mut c, Phase::Freeze);
    c_freeze.truncate(1);
    let c_restore = phase(&mut c, Phase::Restore);
    let set_up = |a: &Access| {
        let queue = matches!(
            a.register,
            Register::QueueSel | Register::QueueNum | Register::QueuePfn | Register::QueueVector
        );
        queue || a.is_config() || a.register == Register::ConfigVector
    };
    c_restore.retain(|a| !set_up(a));
    let c_like = c_restore.clone();
    let restore = phase(&mut rust, Phase::Restore);
    match is_c {
        true => *restore = c_like,
        false => restore.truncate(3),
    }
    for run in [&mut c, &mut rust] {
        let used = [Phase::Probe, Phase::Freeze, Phase::Restore];
        run.devices[0].segments.retain(|s| used.contains(&s.phase));
    }
    (c, rust)
}

#[test]
fn a_device_that_cannot_be_frozen_stays_reset() {
    let (c, rust) = unfrozen(false);
    let report = compare(&c, &rust, INTENDED);
    assert!(report.ok(), "{report}");
    assert!(report.seen().contains("held-in-reset"));
    assert_eq!(report.c_breaches.len(), 1);
}

#[test]
fn it_may_do_nothing_but_stay_reset() {
    let (c, mut rust) = unfrozen(false);
    phase(&mut rust, Phase::Restore).push(access(Register::QueueNum, false, 0));
    let report = compare(&c, &rust, INTENDED);
    assert!(report.unexplained().next().is_some(), "{report}");
}

#[test]
fn it_is_as_any_other_once_it_is_bound_again() {
    let (mut c, mut rust) = unfrozen(false);
    let mut again = |in_phase, status| {
        for (run, status) in [(&mut c, 7), (&mut rust, status)] {
            let mut accesses = phase(run, Phase::Probe).clone();
            accesses.push(access(Register::Status, true, status));
            run.devices[0].segments.push(Segment {
                phase: in_phase,
                round: 0,
                accesses,
            });
        }
    };
    again(Phase::Between, 7);
    again(Phase::Io, 0x87);
    let report = compare(&c, &rust, INTENDED);
    let phases: Vec<_> = report.unexplained().map(|d| d.phase).collect();
    assert_eq!(phases, [Some(Phase::Io)]);
}

#[test]
fn the_rust_driver_must_not_set_it_live() {
    let (c, rust) = unfrozen(true);
    let report = compare(&c, &rust, INTENDED);
    assert!(!report.ok());
    let breaches: Vec<_> = report.breaches().map(|b| b.rule.id).collect();
    assert_eq!(breaches, ["queues-before-ok"]);
}
