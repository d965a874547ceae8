// SPDX-License-Identifier: GPL-2.0

//! The function without a QEMU: what it serves, what it refuses, what only it can judge.

use std::sync::mpsc::{self, Receiver};

use virtio_check::access::Register;
use vm_memory::{Bytes, GuestAddress};

use crate::function::{Config, Function, Work};
use crate::lie::Time;
use crate::models::Kind;

const HOST_FEATURES: u64 = 0;
const GUEST_FEATURES: u64 = 4;
const QUEUE_PFN: u64 = 8;
const QUEUE_NUM: u64 = 12;
const QUEUE_SEL: u64 = 14;
const STATUS: u64 = 18;

/// The page of the ring, and the size of the virtqueue.
const PFN: u64 = 0x10;
const SIZE: u64 = 8;
/// Where the parts of that ring are.
const AVAILABLE: u64 = PFN * 4096 + 16 * SIZE;
const USED: u64 = (PFN + 1) * 4096;
/// Where a buffer is, and how long.
const BUFFER: u64 = 0x40000;
const LEN: u64 = 32;

struct Bench {
    function: Function,
    work: Receiver<Work>,
}

impl Bench {
    /// A source of random numbers with a little memory, and bus mastering on.
    fn new() -> Self {
        Self::of(&Config::new("rng", Kind::Rng, 0))
    }

    fn of(config: &Config) -> Self {
        let (sender, work) = mpsc::channel();
        let mut function = Function::new(config, sender).unwrap();
        let memory = tempfile::tempfile().unwrap();
        memory.set_len(1 << 20).unwrap();
        function.memory.map(0, 1 << 20, memory, 0).unwrap();
        function.space.write(4, &[0x07]);
        Self { function, work }
    }

    /// The order of before 2014.
    fn restore_as_before_2014(&mut self) {
        self.function.write(STATUS, 1, 0);
        self.function.read(STATUS, 1);
        self.function.read(HOST_FEATURES, 4);
        self.function.write(GUEST_FEATURES, 4, 0);
        self.give_ring(PFN);
        for status in [1, 3, 7] {
            self.function.write(STATUS, 1, status);
        }
    }

    fn lie(&mut self, lies: &[&str]) {
        let lies: Vec<_> = lies.iter().map(|lie| lie.parse().unwrap()).collect();
        self.function.lie(&lies);
    }

    /// The handshake as far as accepted features.
    fn negotiate(&mut self) {
        let function = &mut self.function;
        function.write(STATUS, 1, 0);
        assert_eq!(function.read(STATUS, 1), 0);
        function.write(STATUS, 1, 1);
        function.write(STATUS, 1, 3);
        function.read(HOST_FEATURES, 4);
        function.write(GUEST_FEATURES, 4, 0);
    }

    fn give_ring(&mut self, pfn: u64) {
        self.function.write(QUEUE_SEL, 2, 0);
        self.function.read(QUEUE_NUM, 2);
        self.function.write(QUEUE_PFN, 4, pfn);
    }

    fn go_live(&mut self) {
        self.negotiate();
        self.give_ring(PFN);
        self.function.write(STATUS, 1, 7);
    }

    fn poke<T: vm_memory::ByteValued>(&self, address: u64, value: T) {
        let memory = self.function.memory.whole();
        memory.write_obj(value, GuestAddress(address)).unwrap();
    }

    /// Makes a buffer available and notifies; how many were used after that.
    fn request(&mut self, address: u64) -> u16 {
        self.poke(PFN * 4096, [address, LEN | (2 << 32)]);
        self.poke(AVAILABLE + 2, 1_u16);
        self.function.write(16, 2, 0);
        while let Ok(Work::Serve(queue)) = self.work.try_recv() {
            self.function.serve(queue);
        }
        let memory = self.function.memory.whole();
        memory.read_obj(GuestAddress(USED + 2)).unwrap()
    }

    fn broken(&mut self) -> Vec<&'static str> {
        let breaches = self.function.take_breaches();
        breaches.into_iter().map(|breach| breach.rule.id).collect()
    }
}

#[test]
fn a_driver_that_keeps_to_the_rules_is_served() {
    let mut bench = Bench::new();
    bench.go_live();
    assert_eq!(bench.request(BUFFER), 1);
    assert_eq!(bench.broken(), [""; 0]);
}

#[test]
fn a_driver_that_breaks_a_rule_is_not_served_until_it_resets_the_device() {
    let mut bench = Bench::new();
    bench.restore_as_before_2014();
    assert_eq!(bench.request(BUFFER), 0);
    assert_eq!(bench.broken()[0], "driver-before-features");
    bench.go_live();
    assert_eq!(bench.request(BUFFER), 1);
    assert_eq!(bench.broken(), [""; 0]);
}

#[test]
fn a_lenient_device_judges_and_serves() {
    let mut bench = Bench::of(&Config {
        lenient: true,
        ..Config::new("rng", Kind::Rng, 0)
    });
    bench.restore_as_before_2014();
    assert_eq!(bench.request(BUFFER), 1);
    assert_eq!(bench.broken()[0], "driver-before-features");
}

#[test]
fn bus_mastering_is_on() {
    let mut bench = Bench::new();
    bench.function.space.write(4, &[0x03]);
    bench.go_live();
    assert_eq!(bench.broken(), ["bus-master"]);
}

#[test]
fn the_configuration_ends_where_it_ends() {
    let mut bench = Bench::new();
    bench.negotiate();
    bench.function.read(20, 1);
    assert_eq!(bench.broken(), ["config-length"]);
}

#[test]
fn a_vector_is_in_the_table() {
    let (sender, _work) = mpsc::channel();
    let mut function = Function::new(&Config::new("rng", Kind::Rng, 2), sender).unwrap();
    function.space.write(0x42, &[0x01, 0x80]);
    function.write(STATUS, 1, 0);
    function.read(STATUS, 1);
    for status in [1, 3] {
        function.write(STATUS, 1, status);
    }
    function.read(HOST_FEATURES, 4);
    function.write(GUEST_FEATURES, 4, 0);
    function.write(20, 2, 2);
    let breaches = function.take_breaches();
    assert_eq!(breaches[0].rule.id, "vector-range");
}

#[test]
fn a_ring_and_its_buffers_are_in_memory() {
    let mut bench = Bench::new();
    bench.negotiate();
    bench.give_ring(0xfff);
    assert_eq!(bench.broken(), ["ring-memory"]);
    bench.go_live();
    assert_eq!(bench.request(1 << 40), 0);
    assert_eq!(bench.broken(), ["buffer-memory"]);
}

#[test]
fn nothing_is_made_available_after_a_reset() {
    let mut bench = Bench::new();
    bench.go_live();
    bench.function.write(STATUS, 1, 0);
    bench.poke(AVAILABLE + 2, 1_u16);
    bench.function.read(STATUS, 1);
    assert_eq!(bench.broken(), ["available-after-reset"]);
}

#[test]
fn a_breach_is_shown_with_the_accesses_around_it() {
    let mut bench = Bench::new();
    bench.function.write(STATUS, 1, 0);
    bench.function.read(STATUS, 1);
    bench.function.write(STATUS, 1, 2);
    bench.function.read(STATUS, 1);
    let breaches = bench.function.take_breaches();
    let context = [
        "  STATUS=0x0",
        "  STATUS? 0x0",
        "> STATUS=0x2 (DRIVER)",
        "  STATUS? 0x2 (DRIVER)",
    ];
    assert_eq!(breaches[0].context, context);
    assert!(breaches[0]
        .to_string()
        .contains("3.1.1 Device Initialization"));
}

#[test]
fn the_time_is_known_from_the_resets() {
    let mut bench = Bench::new();
    bench.lie(&[
        "probe read QUEUE_NUM = 0x3",
        "freeze read QUEUE_NUM = 0x4",
        "restore read QUEUE_NUM = 0x5",
    ]);
    bench.negotiate();
    assert_eq!(bench.function.read(QUEUE_NUM, 2), 3);
    bench.go_live();
    assert_eq!(bench.function.read(QUEUE_NUM, 2), SIZE);
    bench.function.sleeping = true;
    bench.function.write(STATUS, 1, 0);
    assert_eq!(bench.function.read(QUEUE_NUM, 2), 4);
    bench.negotiate();
    assert_eq!(bench.function.read(QUEUE_NUM, 2), 5);
    let told = bench.function.told();
    assert_eq!(told[&(Time::Restore, Register::QueueNum)], 1);
}

#[test]
fn lies_are_told_as_written() {
    let mut bench = Bench::new();
    bench.lie(&[
        "probe read STATUS-after-reset set 0xf x1",
        "probe write QUEUE_SEL dropped",
        "run write QUEUE_NOTIFY used-id 0xdead",
    ]);
    assert_eq!(bench.function.read(STATUS, 1), 0xf);
    assert_eq!(bench.function.read(STATUS, 1), 0);
    bench.function.write(QUEUE_SEL, 2, 3);
    assert_eq!(bench.function.read(QUEUE_SEL, 2), 0);
    assert_eq!(bench.function.lied(), 2);
    bench.lie(&["run write QUEUE_NOTIFY used-id 0xdead"]);
    bench.go_live();
    assert_eq!(bench.request(BUFFER), 1);
    let memory = bench.function.memory.whole();
    let id: u32 = memory.read_obj(GuestAddress(USED + 4)).unwrap();
    assert_eq!(id, 0xdead);
}

#[test]
fn a_device_that_is_gone_reads_as_ones_until_it_is_back() {
    let mut bench = Bench::new();
    bench.go_live();
    bench.lie(&["run read any gone"]);
    assert_eq!(bench.function.read(STATUS, 1), 0xff);
    bench.function.write(STATUS, 1, 0);
    assert_eq!(bench.function.read(HOST_FEATURES, 4), 0xffff_ffff);
    assert_eq!(bench.request(BUFFER), 0);
    bench.lie(&[]);
    assert_eq!(bench.function.read(STATUS, 1), 7);
}

#[test]
fn a_late_reset_serves_until_it_is_complete() {
    let mut bench = Bench::new();
    bench.lie(&[
        "run write QUEUE_NOTIFY dropped x1",
        "freeze write STATUS late 2",
    ]);
    bench.go_live();
    assert_eq!(bench.request(BUFFER), 0);
    bench.function.sleeping = true;
    bench.function.write(STATUS, 1, 0);
    assert_eq!(bench.function.read(STATUS, 1), 7);
    let memory = bench.function.memory.whole();
    let used: u16 = memory.read_obj(GuestAddress(USED + 2)).unwrap();
    assert_eq!(used, 1);
    assert_eq!(bench.function.read(STATUS, 1), 7);
    assert_eq!(bench.function.read(STATUS, 1), 0);
}
