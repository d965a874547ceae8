// SPDX-License-Identifier: GPL-2.0

//! Whatever a file holds, nothing panics.
//!
//! Traces of each kind are damaged at random and go through all that reads or shows them.
//! `VIRTIO_CHECK_FUZZ=1000000 cargo test --release -p virtio-check --test fuzz` does it longer, and
//! `VIRTIO_CHECK_SEED` begins elsewhere. A failure tells its seed.

use anstream::println;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use std::panic::{catch_unwind, AssertUnwindSafe};
use virtio_check::ground::Ground;
use virtio_check::pictures::{pictures, Named};
use virtio_check::{
    compare, cut, notation, output, pre_2014, reduce, DeviceInfo, Lane, Level, Measure, Run,
    Version, Waivers, INTENDED,
};

/// How many files `cargo test` makes.
const FEW: u64 = 3000;

/// A file of QEMU's simple backend: the names of both events, a mark and two accesses.
fn simpletrace() -> Vec<u8> {
    let number = |n: u64| n.to_le_bytes().to_vec();
    let text = |name: &str| [&(name.len() as u32).to_le_bytes()[..], name.as_bytes()].concat();
    let mapping = |id, name| [number(0), number(id), text(name)].concat();
    let event = |id, numbers: [u64; 5], name: &str| {
        let arguments = [numbers.map(u64::to_le_bytes).concat(), text(name)].concat();
        let length = (24 + arguments.len()) as u32;
        let lengths = [length.to_le_bytes(), 7u32.to_le_bytes()].concat();
        [number(1), number(id), number(5), lengths, arguments].concat()
    };
    [
        [number(u64::MAX), number(0xf2b1_77cb_0aa4_29b4), number(4)].concat(),
        mapping(1, "memory_region_ops_read"),
        mapping(2, "memory_region_ops_write"),
        event(2, [u64::MAX, 1, 0x80, 1, 1], "ioport80"),
        event(2, [0, 7, 0xc012, 0, 1], "virtio-pci"),
        event(1, [0, 7, 0xc012, 0, 1], "virtio-pci"),
    ]
    .concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let fixture = |name: &str| std::fs::read(format!("{fixtures}/{name}.txt")).unwrap();
    let kvm = "   qemu-1  [003]  12.567890: kvm_pio: pio_write at 0xc012 size 1 count 1 val 0x0 \n\
               CPU 0/KVM  4711 [003]  12.567891: kvm:kvm_mmio: mmio read len 4 gpa 0xc000 val 0x79\n";
    let vfio = "7@12.5:vfio_region_write  (0000:06:0d.0:region0+0x12, 0x0, 1)\n\
                7@12.6:vfio_region_read  (0000:06:0d.0:region0+0x12, 1) = 0x0\n";
    let scripted = "scripted blk: probe msix write 0x12 size 1 value 0x0\n\
                    scripted blk: freeze intx read 0x14 size 4 value 0x3\n";
    let waivers = "[[waiver]]\nrule = \"width\"\nreason = \"old\"\n";
    let notation = "[msix] STATUS=0 STATUS?0 config+0?1/4 [freeze] inside+2=0";
    let mut seeds = vec![fixture("c-intx"), fixture("rust-msix"), simpletrace()];
    seeds.extend([kvm, vfio, scripted, waivers, notation].map(|text| text.repeat(3).into_bytes()));
    seeds
}

/// Damages a file in one way.
fn damage(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        bytes.push(random.random());
    }
    let at = random.random_range(0..bytes.len());
    let to = random.random_range(at..bytes.len());
    match random.random_range(0..9) {
        0 => bytes[at] ^= 1 << random.random_range(0..8),
        1 => bytes[at] = random.random(),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..to)),
        4 => {
            let part = bytes[at..to.min(at + 400)].to_vec();
            bytes.splice(to..to, part);
        }
        5 => {
            let other = &others[random.random_range(0..others.len())];
            let from = random.random_range(0..other.len());
            let part = &other[from..other.len().min(from + 300)];
            bytes.splice(at..at, part.iter().copied());
        }
        6 => {
            let numbers: [&[u8]; 6] = [b"0xffffffffffffffff", b"-1", b"0", b"0xc014", b"\n", b" "];
            let number = numbers[random.random_range(0..numbers.len())];
            bytes.splice(at..at, number.iter().copied());
        }
        7 => {
            // Digits stay digits, so that the line is still an access.
            let digits = bytes.iter_mut().filter(|byte| byte.is_ascii_hexdigit());
            let mut digits: Vec<_> = digits.collect();
            let count = digits.len();
            if count != 0 {
                let digit = random.random_range(0..16);
                *digits[random.random_range(0..count)] = b"0123456789abcdef"[digit];
            }
        }
        _ => random.fill_bytes(&mut bytes[at..to.min(at + 16)]),
    }
}

/// Puts a file through all that reads or shows it.
fn use_all(bytes: &[u8], devices: &[DeviceInfo]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let _ = Waivers::parse(&text);
    let _ = notation::parse(&text);
    let _ = cut(&text);
    let _ = reduce(&text);
    if let Ok(run) = Run::parse(&text, devices) {
        let _ = compare(&run, &pre_2014(&run), INTENDED).to_string();
        if let Ok(drawn) = pictures(vec![Named {
            name: "lane".into(),
            run,
        }]) {
            drawn
                .iter()
                .for_each(|(_, picture)| drop(picture.file(Ground::Light)));
        }
    }
    let Ok(lane) = Lane::of("lane", bytes, devices) else {
        return false;
    };
    let measure = Measure {
        version: Version::V0_9_5,
        level: Level::Convention,
        ..Measure::default()
    };
    let lanes = [lane];
    let _ = output::text(&lanes, &measure);
    let _ = output::ktap(&lanes, &measure);
    let _ = output::json(&lanes, &measure).to_string();
    output::junit(&lanes, &measure).unwrap();
    true
}

fn from_environment(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |number| number.parse().unwrap())
}

#[test]
fn no_file_makes_anything_panic() {
    let seeds = seeds();
    let devices: [&[&str]; 2] = [&[], &["blk=0xc000+0x80", "rng=0xc160+0x20:intx"]];
    let devices = devices.map(|told| told.iter().map(|d| d.parse().unwrap()).collect::<Vec<_>>());
    let begin = from_environment("VIRTIO_CHECK_SEED", 1);
    let count = from_environment("VIRTIO_CHECK_FUZZ", FEW);
    let mut judged = 0;
    for seed in begin..begin + count {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
        for _ in 0..random.random_range(0..12) {
            damage(&mut bytes, &seeds, &mut random);
        }
        let devices = &devices[random.random_range(0..2)];
        let done = catch_unwind(AssertUnwindSafe(|| use_all(&bytes, devices)));
        judged += u64::from(done.unwrap_or_else(|_| panic!("VIRTIO_CHECK_SEED={seed} panics")));
    }
    // Else the damage is too great to test anything but refusals.
    assert!(judged > count / 20, "{judged} of {count} were judged");
    println!("{count} files, {judged} of them judged");
}
