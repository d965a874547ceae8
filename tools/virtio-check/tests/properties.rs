// SPDX-License-Identifier: GPL-2.0

//! What holds for any trace, however wild.

use proptest::prelude::*;
use virtio_check::{check, compare, pre_2014, DeviceInfo, Phase, Run, INTENDED};

/// A line of a trace; registers are hit more often than other offsets.
fn line() -> impl Strategy<Value = String> {
    let offset = prop_oneof![
        4 => prop::sample::select(vec![0u64, 4, 8, 12, 14, 16, 18, 19, 20, 22, 24]),
        1 => 0..0x40u64,
    ];
    let size = prop::sample::select(vec![1u8, 2, 4]);
    let value = prop_oneof![0..8u64, Just(0xffff), any::<u32>().prop_map(u64::from)];
    let access = (any::<bool>(), offset, value, size).prop_map(|(write, offset, value, size)| {
        let event = if write { "write" } else { "read" };
        let address = 0xc000 + offset;
        format!(
            "memory_region_ops_{event} cpu 0 mr 0x1 addr {address:#x} value {value:#x} \
             size {size} name 'virtio-pci'"
        )
    });
    let phase = prop::sample::select(vec![
        Phase::Probe,
        Phase::Io,
        Phase::Freeze,
        Phase::Restore,
        Phase::Remove,
        Phase::Between,
    ]);
    let mark = phase.prop_map(|phase| {
        format!(
            "memory_region_ops_write cpu -1 mr 0x2 addr 0x80 value {:#x} size 1 name 'ioport80'",
            phase.mark()
        )
    });
    prop_oneof![9 => access, 1 => mark]
}

fn run(lines: &[String]) -> Run {
    let device = DeviceInfo {
        name: "device".into(),
        bar_base: 0xc000,
        bar_len: 0x40,
        ..DeviceInfo::default()
    };
    Run::parse(&lines.join("\n"), &[device]).unwrap()
}

proptest! {
    #[test]
    fn no_access_is_lost(lines in prop::collection::vec(line(), 0..60)) {
        let first = lines.iter().position(|l| l.contains("ioport80")).unwrap_or(0);
        let accesses = lines[first..].iter().filter(|l| l.contains("virtio-pci")).count();
        let run = run(&lines);
        let traced = |run: &Run| -> u64 {
            let segments = run.devices[0].segments.iter();
            segments.flat_map(|s| &s.accesses).map(|access| access.times).sum()
        };
        prop_assert_eq!(traced(&run), accesses as u64);
        prop_assert!(traced(&pre_2014(&run)) <= accesses as u64);
    }

    #[test]
    fn a_run_does_not_differ_from_itself(lines in prop::collection::vec(line(), 0..60)) {
        let run = run(&lines);
        let report = compare(&run, &run, INTENDED);
        let phases = report.devices.iter().flat_map(|d| &d.phases);
        let handshake: usize = phases.map(|p| p.cost.c.handshake).sum();
        prop_assert_eq!(report.unexplained().next().is_none(), handshake > 0 || {
            run.devices[0].segments.iter().any(|s| s.phase.is_compared() && !s.accesses.is_empty())
        });
        prop_assert_eq!(report.c_breaches, check(&run));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(memory_region_ops_(read|write) ?)?.{0,80}") {
        let _ = Run::parse(&text, &[]);
    }
}
