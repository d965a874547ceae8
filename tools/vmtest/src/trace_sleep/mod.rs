// SPDX-License-Identifier: GPL-2.0

//! One suspend and one hibernation, with ftrace, the kernel log and the registers on one clock.

mod clock;
mod ftrace;
mod perfetto;
mod sleepgraph;
mod time;
mod timeline;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::println;
use anyhow::{Context, Result};
use machine::Arch;
use virtio_check::{DeviceInfo, Run};

use crate::cells::device::check_bound;
use crate::cells::traces::{observe_slot, trace_registers};
use clock::{Clock, LOOKS};
use sleepgraph::Head;
use time::{seconds, stamp, Time};
use timeline::Recording;
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::fresh_folder;
use vm::setup::Setup;
use vm::{Vm, BOOT, COMMAND};

/// The time between two looks.
const BETWEEN: Duration = Duration::from_secs(2);
/// The disk whose configuration is written.
const LOOKED_AT: Kind = Kind::Blk;

/// A kind of sleep.
#[derive(Clone, Copy)]
enum Sleep {
    Memory,
    Disk,
}

impl Sleep {
    /// The name that sleepgraph has for it.
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "mem",
            Self::Disk => "disk",
        }
    }
}

/// Records both sleeps and writes their timelines.
pub fn run(setup: &Setup) -> Outcome<bool> {
    if setup.machine.arch != Arch::Amd64 {
        let text = "arm64: its machine cannot suspend to memory, give ARCH=amd64".to_owned();
        return Err(Failure::Failed(text));
    }
    let output = setup.root.join("target/trace-sleep");
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    for sleep in [Sleep::Memory, Sleep::Disk] {
        let dir = fresh_folder(&setup.logs, &format!("trace-sleep-{}", sleep.name()))?;
        let recorded = record(setup, sleep, &dir, &output);
        Vm::tidy(&dir);
        recorded?;
    }
    Ok(true)
}

fn record(setup: &Setup, sleep: Sleep, dir: &Path, output: &Path) -> Outcome {
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&Kind::FROZEN)
        .with_swap();
    layout.traced = true;
    // Each access has the host's time.
    let layout = layout.with([("-msg", "timestamp=on".to_owned())]);
    let mut vm = Vm::boot(setup, &layout, dir, BOOT)?;
    let slept = go_through(&mut vm, sleep);
    let slept = slept.map_err(|failure| vm.explained(failure))?;
    drop(vm);
    slept.write(setup, &layout, sleep, output)?;
    Ok(())
}

/// Has the guest look at both clocks twice, for ftrace under these names.
fn look_at_clocks(vm: &mut Vm, first: &str, second: &str) -> Outcome {
    let slot = LOOKED_AT.slot();
    vm.ok(&format!("look_at_clocks {first} {slot}"))?;
    // Not a wait for anything: the farther they are apart, the better the rate is known.
    std::thread::sleep(BETWEEN);
    vm.ok(&format!("look_at_clocks {second} {slot}"))?;
    Ok(())
}

/// What was recorded.
struct Slept {
    devices: Vec<DeviceInfo>,
    functions: Vec<(String, String)>,
    /// The traces of QEMU, a file a process.
    traces: Vec<PathBuf>,
    ftrace: String,
    log: String,
}

fn go_through(vm: &mut Vm, sleep: Sleep) -> Outcome<Slept> {
    vm.ok("mount_tools")?;
    trace_registers(vm)?;
    vm.ok("load_driver_with watchdog_s=0")?;
    let kinds = vm.layout().kinds.clone();
    let (mut devices, mut functions) = (Vec::new(), Vec::new());
    for &kind in &kinds {
        check_bound(vm, kind)?;
        let (info, _) = observe_slot(vm, kind.slot(), kind.name())?;
        functions.push((info.name.clone(), format!("0000:00:{}.0", kind.slot())));
        devices.push(info);
    }
    vm.ok(&format!("swap_on {}", Kind::Swap.slot()))?;
    vm.ok("trace_power")?;
    look_at_clocks(vm, LOOKS[0], LOOKS[1])?;
    vm.ok("sleepgraph_line 'SUSPEND START'")?;
    let (trace, first) = (vm.dir().join("trace.log"), vm.dir().join("trace-1.log"));
    let mut traces = vec![trace.clone()];
    match sleep {
        Sleep::Memory => vm.suspend_to_memory()?,
        Sleep::Disk => {
            // The next process writes its trace from its first access on, into a new file.
            vm.add_arguments(&["-trace", "memory_region_ops_read"]);
            vm.add_arguments(&["-trace", "memory_region_ops_write"]);
            let id = vm.hibernate_off("hibernate shutdown")?;
            fs::rename(&trace, &first).context("cannot rename the first trace")?;
            traces.insert(0, first);
            vm.resume_image(id)?;
        }
    }
    vm.ok("sleepgraph_line 'RESUME COMPLETE'")?;
    look_at_clocks(vm, LOOKS[2], LOOKS[3])?;
    let ftrace = vm.ok_within("power_trace", COMMAND)?;
    let log = vm.ok_within("kernel_log", COMMAND)?;
    vm.check_kernel()?;
    Ok(Slept {
        devices,
        functions,
        traces,
        ftrace,
        log,
    })
}

impl Slept {
    fn write(&self, setup: &Setup, layout: &Layout, sleep: Sleep, output: &Path) -> Outcome {
        let load = |path: &PathBuf| Run::load(path, &self.devices);
        let runs = self.traces.iter().map(load).collect::<Result<Vec<_>>>()?;
        let lines = ftrace::parse(&self.ftrace)?;
        let looks = looks(&runs);
        let Ok(looks) = <[Time; 4]>::try_from(looks.as_slice()) else {
            let text = format!("the trace shows {} looks at the clocks, not 4", looks.len());
            return Err(Failure::Failed(text));
        };
        let clock = Clock::new(&lines, looks)?;
        let first = lines.first().map_or(0, |line| line.time);
        let log = of_sleep(&self.log, first);
        let (bytes, count) = timeline::draw(&Recording {
            runs: &runs,
            lines: &lines,
            log: &log,
            devices: &self.functions,
            clock,
        });
        let name = sleep.name();
        let folder = output.join(format!("{}-{name}", setup.driver));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join("perfetto-trace");
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        let date = std::process::Command::new("date")
            .arg("+%m%d%y-%H%M%S")
            .output();
        let date = String::from_utf8(date.context("cannot run date")?.stdout);
        let date = date.context("date")?;
        let head = Head {
            mode: name,
            date: date.trim(),
            kernel: &setup.machine.kernel_release,
            cpus: layout.cpus,
        };
        let text: String = log
            .iter()
            .map(|(time, text)| line_of(*time, text))
            .collect();
        let [dmesg, ftrace] = head.write(&folder, &text, &self.ftrace)?;
        let [before, after] = clock.rates();
        println!(
            "{name}: {} callbacks, {} accesses, {} breaches; the guest's clock goes {:.3} and {:.3} \
             times as fast, known to {} µs\n  {}\n  \
             sleepgraph -dmesg {} -ftrace {}",
            count.callbacks,
            count.accesses,
            count.breaches,
            before,
            after,
            clock.error / 1000,
            path.display(),
            dmesg.display(),
            ftrace.display(),
        );
        Ok(())
    }
}

/// The host's times of the looks at both clocks: nothing else writes the disk's configuration.
fn looks(runs: &[Run]) -> Vec<Time> {
    let devices = runs.iter().filter_map(|run| run.device(LOOKED_AT.name()));
    let accesses = devices.flat_map(|device| &device.segments);
    let accesses = accesses.flat_map(|segment| &segment.accesses);
    let looks = accesses.filter(|access| access.write && access.is_config());
    looks
        .filter_map(|access| stamp(access.time.as_deref()?))
        .collect()
}

/// The lines of the kernel log from this time on.
fn of_sleep(log: &str, first: Time) -> Vec<(Time, String)> {
    let line = |line: &str| {
        let (time, text) = line.strip_prefix('[')?.split_once("] ")?;
        Some((seconds(time.trim())?, text.to_owned()))
    };
    let lines = log.lines().filter_map(line);
    lines.filter(|(time, _)| *time >= first).collect()
}

/// A line of the kernel log.
fn line_of(time: Time, text: &str) -> String {
    let microseconds = time / 1000;
    let (seconds, part) = (microseconds / 1_000_000, microseconds % 1_000_000);
    format!("[{seconds:5}.{part:06}] {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_sleep_begins_with_it() {
        let log = "[    1.000000] Linux\n[   12.345678] PM: suspend entry (deep)\nno line\n";
        let lines = of_sleep(log, 2_000_000_000);
        assert_eq!(lines.len(), 1);
        let (time, text) = &lines[0];
        assert_eq!(
            line_of(*time, text),
            "[   12.345678] PM: suspend entry (deep)\n"
        );
    }

    #[test]
    fn a_look_is_a_write_to_the_configuration() {
        let access = |time: &str, kind: &str, offset: u8| {
            format!(
                "1@{time}:memory_region_ops_{kind} cpu 0 mr 0x7 addr {:#x} value 0x1 size 1 name \
                 'virtio-pci'\n",
                0xc000 + u32::from(offset)
            )
        };
        let trace = [
            access("5.0", "write", 18),
            access("5.5", "write", 52),
            access("5.6", "read", 52),
            access("7.5", "write", 52),
        ];
        let device = "blk=0xc000+0x40".parse().unwrap();
        let run = Run::parse(&trace.concat(), &[device]).unwrap();
        assert_eq!(looks(&[run]), [5_500_000_000, 7_500_000_000]);
    }
}
