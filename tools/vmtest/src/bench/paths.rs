// SPDX-License-Identifier: GPL-2.0

//! The ways of an I/O through the kernel, instruction by instruction.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use results::Measurements;

use super::machine::{await_disk, counted, in_vm, name, Disk};
use super::samples::{in_turn, Of, Samples};
use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::layout::Interrupts;
use vm::setup::Setup;
use vm::Vm;

const DISK: Disk = Disk {
    slot: 0x10,
    queues: 1,
};
/// The slot of the network interface.
const NETWORK: &str = "11";
/// How often each driver is loaded; the samples are shared out between these.
const ROUNDS: usize = 4;

/// Follows reads and pings in both interrupt modes; each of them is a sample.
pub(super) fn measure(setup: &Setup, samples: usize) -> Outcome<Measurements> {
    let mut ways = Samples::default();
    let mut commands = Vec::new();
    let count = samples.div_ceil(ROUNDS);
    let samples = count * ROUNDS;
    for interrupts in [Interrupts::PerQueue, Interrupts::Intx] {
        let layout = counted(interrupts, DISK, NETWORK);
        let name = format!("paths-{interrupts}");
        commands.push(in_vm(setup, &name, &layout, |vm, dir| {
            vm.ok("release_tools_disk && silence_console")?;
            let log = dir.join("instructions");
            in_turn(vm, ROUNDS, |vm, driver| {
                follow(vm, &log, count, driver, interrupts, &mut ways)
            })
        })?);
    }
    Ok(Measurements {
        about: format!(
            "{samples} reads of 4 KiB from a disk that answers at once, and {samples} pings that \
             the host answers, with one virtual CPU, by a log of each instruction (QEMU's \
             one-insn-per-tb and -d exec). Notification: what virtqueue_notify() calls, without the \
             interrupt that may come in between. Interrupt handler: what __handle_irq_event_percpu() \
             calls for a read, block layer and all. Ping: from one packet that is sent to the next, \
             all that the CPU does. Each driver is loaded {ROUNDS} times in one boot."
        ),
        commands,
        series: ways.into_series(),
        ..Measurements::default()
    })
}

fn follow(
    vm: &mut Vm,
    log: &Path,
    count: usize,
    driver: Driver,
    interrupts: Interrupts,
    ways: &mut Samples,
) -> Outcome {
    let slot = DISK.slot();
    await_disk(vm, &slot)?;
    vm.ok(&format!(
        "await 10 is_live {NETWORK} && await 10 interface_of {NETWORK} && net_up {NETWORK}"
    ))?;
    let symbols = Symbols::parse(&vm.ok("cat /proc/kallsyms")?);
    // Some more, since one that is interrupted by something else is not counted, and the first
    // packet has no other one before it.
    let more = count + 5;
    let read = format!("dd if=$(disk_of {slot}) of=/dev/null bs=4k iflag=direct count={more}");
    let ping = format!("ping -A -q -W 5 -c {more} 10.0.2.2");
    let mut taken = |command: &str| -> Outcome<Taken> {
        // Not the first time that it is done.
        vm.ok(command)?;
        monitor(vm, &format!("logfile {}", log.display()))?;
        monitor(vm, "one-insn-per-tb on")?;
        monitor(vm, "log exec,nochain")?;
        vm.ok(command)?;
        monitor(vm, "log none")?;
        monitor(vm, "one-insn-per-tb off")?;
        let file = File::open(log).with_context(|| format!("cannot open {}", log.display()))?;
        let taken = Taken::follow(&symbols, BufReader::new(file))
            .with_context(|| format!("cannot read {}", log.display()))?;
        fs::remove_file(log).with_context(|| format!("cannot remove {}", log.display()))?;
        Ok(taken)
    };
    let (of_read, of_ping) = (taken(&read)?, taken(&ping)?);
    // The handler of a read has four instructions more or less, by chance: a limit of 0 would be
    // that.
    for (quantity, limit, values) in [
        ("notification", 0.0, of_read.notifications),
        ("interrupt handler", 0.004, of_read.handlers),
        ("ping", 0.01, of_ping.pings),
    ] {
        if values.len() < count {
            let text = format!("{quantity}: {} of {count} were seen", values.len());
            return Err(Failure::Failed(text));
        }
        let of = Of {
            quantity,
            case: name(interrupts),
            unit: "instructions",
            limit: Some(limit),
            ..Of::default()
        };
        for value in values.into_iter().take(count) {
            ways.add(of, driver, f64::from(value));
        }
    }
    Ok(())
}

/// A command of QEMU's monitor, which says nothing if it was done.
fn monitor(vm: &mut Vm, command: &str) -> Outcome {
    let said = vm.qmp().human(command)?;
    if said.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("{command}: {said}")))
}

/// The address of the instruction of a line as `Trace 0: 0x7f… [00000000/ffffffff81000000/…]`.
fn address(line: &str) -> Option<u64> {
    let (_, fields) = line.strip_prefix("Trace ")?.split_once('[')?;
    u64::from_str_radix(fields.split('/').nth(1)?, 16).ok()
}

/// The functions of the kernel and its modules, by their addresses.
struct Symbols(Vec<(u64, String)>);

impl Symbols {
    fn parse(kallsyms: &str) -> Self {
        let function = |line: &str| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let is_text = words.next()?.eq_ignore_ascii_case("t");
            is_text.then_some((address, words.next()?.to_owned()))
        };
        let mut symbols: Vec<_> = kallsyms.lines().filter_map(function).collect();
        symbols.sort();
        Self(symbols)
    }

    /// The function that an instruction is in, and whether it is its first one.
    fn at(&self, address: u64) -> (&str, bool) {
        let after = self.0.partition_point(|(start, _)| *start <= address);
        match after.checked_sub(1).and_then(|place| self.0.get(place)) {
            Some((start, name)) => (name, *start == address),
            None => ("", false),
        }
    }
}

/// Instructions on each way, one number for each time it was gone.
#[derive(Default)]
struct Taken {
    notifications: Vec<u32>,
    handlers: Vec<u32>,
    pings: Vec<u32>,
}

/// What a function has called and that has not returned yet.
#[derive(Default)]
struct Call<'a> {
    /// Instructions so far, without those of interrupts.
    own: u32,
    /// Where an interrupt has come.
    interrupted: Option<&'a str>,
    /// Whether the disk's driver was told of used buffers.
    is_done: bool,
}

impl<'a> Call<'a> {
    fn go_on(&mut self, before: &'a str, name: &'a str, is_first: bool) {
        if self.interrupted == Some(name) {
            self.interrupted = None;
        } else if self.interrupted.is_none() && is_entry(name, is_first) {
            self.interrupted = Some(before);
        }
        self.own += u32::from(self.interrupted.is_none());
        self.is_done |= name == "virtblk_done";
    }
}

/// Whether a function is where the processor begins an interrupt. Those of devices begin in one of
/// the stubs of a table.
fn is_entry(name: &str, is_first: bool) -> bool {
    is_first && name.starts_with("asm_") || name.ends_with("_entries_start")
}

impl Taken {
    /// Counts in a log.
    fn follow(symbols: &Symbols, log: impl BufRead) -> io::Result<Self> {
        let mut taken = Self::default();
        let mut way = Way::default();
        let mut last = None;
        for line in log.lines() {
            let line = line?;
            if line.starts_with("Stopped execution") {
                // The last one was not executed, and will be.
                last = None;
            } else if let Some(address) = address(&line) {
                if let Some(address) = last.replace(address) {
                    way.go_on(symbols.at(address), &mut taken);
                }
            }
        }
        if let Some(address) = last {
            way.go_on(symbols.at(address), &mut taken);
        }
        Ok(taken)
    }
}

/// Where in the log it is.
#[derive(Default)]
struct Way<'a> {
    before: &'a str,
    notification: Option<Call<'a>>,
    handler: Option<Call<'a>>,
    since_packet: Option<u32>,
}

impl<'a> Way<'a> {
    /// One more instruction, in this function, which may be its first one.
    fn go_on(&mut self, (name, is_first): (&'a str, bool), taken: &mut Taken) {
        let before = self.before;
        for (caller, call) in [
            ("virtqueue_notify", &mut self.notification),
            ("__handle_irq_event_percpu", &mut self.handler),
        ] {
            if name == caller {
                match call.take() {
                    Some(call) if caller == "virtqueue_notify" => {
                        taken.notifications.push(call.own);
                    }
                    Some(call) if call.is_done => taken.handlers.push(call.own),
                    _ => {}
                }
            } else if before == caller && is_first && !is_entry(name, is_first) {
                *call = Some(Call::default());
            }
            if let Some(call) = call {
                call.go_on(before, name, is_first);
            }
        }
        if name == "start_xmit" && is_first {
            taken.pings.extend(self.since_packet.replace(0));
        }
        if let Some(since_packet) = &mut self.since_packet {
            *since_packet += 1;
        }
        self.before = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81000000 T virtqueue_notify
ffffffff81000080 t irq_entries_start
ffffffff81000100 t asm_common_interrupt
ffffffff81000200 T __handle_irq_event_percpu
ffffffff81000300 D data
ffffffffc0000000 t vp_notify\t[virtio_pci]
ffffffffc0000100 t virtblk_done\t[virtio_blk]
ffffffffc0000200 t start_xmit\t[virtio_net]
";

    fn line(address: u64) -> String {
        format!("Trace 0: 0x7f184fdf9400 [00000000/{address:016x}/0040c2b0/ff022201] \n")
    }

    fn follow(log: &[u64]) -> Taken {
        let log: String = log.iter().copied().map(line).collect();
        Taken::follow(&Symbols::parse(KALLSYMS), log.as_bytes()).unwrap()
    }

    #[test]
    fn a_line_has_an_address() {
        let line = "Trace 0: 0x7f184fdf9400 [00000000/ffffffff810013d0/0040c2b0/ff022201] x";
        assert_eq!(address(line), Some(0xffff_ffff_8100_13d0));
        assert_eq!(address("Trace 0: 0x7f184fdf9400"), None);
        assert_eq!(address("Linking TBs"), None);
    }

    #[test]
    fn functions_are_known_by_address() {
        let symbols = Symbols::parse(KALLSYMS);
        assert_eq!(symbols.at(0xffff_ffff_c000_0000), ("vp_notify", true));
        assert_eq!(symbols.at(0xffff_ffff_c000_0001), ("vp_notify", false));
        assert_eq!(symbols.at(0x40_0000), ("", false));
    }

    #[test]
    fn a_notification_is_counted_without_its_interrupt() {
        let (notify, entry, core) = (
            0xffff_ffff_8100_0000,
            0xffff_ffff_8100_0100,
            0xffff_ffff_8100_0200,
        );
        let (vp, done) = (0xffff_ffff_c000_0000, 0xffff_ffff_c000_0100);
        let stub = 0xffff_ffff_8100_0088;
        let interrupt = [
            stub,
            stub + 4,
            entry,
            entry + 1,
            core,
            done,
            done + 1,
            core + 1,
            entry + 2,
        ];
        let log = [&[notify, vp, vp + 1][..], &interrupt, &[vp + 2, notify + 1]].concat();
        let taken = follow(&log);
        assert_eq!(taken.notifications, [3]);
        assert_eq!(taken.handlers, [2]);
    }

    #[test]
    fn a_handler_of_another_interrupt_is_not_counted() {
        let (core, vp) = (0xffff_ffff_8100_0200, 0xffff_ffff_c000_0000);
        assert!(follow(&[core, vp, core + 1]).handlers.is_empty());
    }

    #[test]
    fn what_was_not_executed_is_not_counted() {
        let (notify, vp) = (0xffff_ffff_8100_0000, 0xffff_ffff_c000_0000);
        let stopped = "Stopped execution of TB chain before 0x7f184fdf9400 [ffffffffc0000000]\n";
        let log = [
            line(notify),
            line(vp),
            stopped.to_owned(),
            line(vp),
            line(notify),
        ]
        .concat();
        let taken = Taken::follow(&Symbols::parse(KALLSYMS), log.as_bytes()).unwrap();
        assert_eq!(taken.notifications, [1]);
    }

    #[test]
    fn a_ping_lasts_until_the_next_one() {
        let (xmit, user) = (0xffff_ffff_c000_0200, 0x40_0000);
        let taken = follow(&[user, xmit, xmit + 1, user, xmit, user]);
        assert_eq!(taken.pings, [3]);
    }
}
