// SPDX-License-Identifier: GPL-2.0

//! Puts a sleep on one timeline: the PM core, the callbacks of each device, its registers.

use std::collections::BTreeMap;

use virtio_check::access::Register;
use virtio_check::marks::Stage;
use virtio_check::{Checker, DeviceTrace, Phase, Run};

use super::clock::Clock;
use super::ftrace::{Event, Line};
use super::perfetto::{Track, Writer};
use super::time::{stamp, Time};

/// What was recorded of a sleep.
pub(super) struct Recording<'a> {
    /// The register accesses, a run for each QEMU process.
    pub(super) runs: &'a [Run],
    /// The text of ftrace.
    pub(super) lines: &'a [Line],
    /// The kernel log of the sleep, by the guest's clock.
    pub(super) log: &'a [(Time, String)],
    /// The virtio devices: their names, and those of their PCI functions.
    pub(super) devices: &'a [(String, String)],
    /// Both clocks.
    pub(super) clock: Clock,
}

/// How much is on the timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Callbacks of devices.
    pub(super) callbacks: usize,
    /// Accesses to registers.
    pub(super) accesses: u64,
    /// Breaches of rules.
    pub(super) breaches: usize,
}

/// Draws the timeline; the bytes are a Perfetto trace.
pub(super) fn draw(recording: &Recording<'_>) -> (Vec<u8>, Count) {
    let mut writer = Writer::default();
    let mut count = Count::default();
    steps(&mut writer, recording);
    let mut callbacks = BTreeMap::new();
    let begin = recording.clock.begin();
    for (name, function) in recording.devices {
        let device = writer.track(&format!("{name} ({function})"), None);
        callbacks.insert(function.as_str(), writer.track("callbacks", Some(device)));
        let registers = Registers {
            device,
            begin,
            status: writer.track("status", Some(device)),
            accesses: writer.track("accesses", Some(device)),
        };
        for run in recording.runs {
            if let Some(trace) = run.device(name) {
                registers.draw(&mut writer, trace, &mut count);
            }
        }
    }
    let log = writer.track("kernel log", None);
    for (time, text) in recording.log {
        writer.instant(log, recording.clock.host(*time), text, text);
    }
    count.callbacks = calls(&mut writer, recording, callbacks);
    (writer.finish(), count)
}

/// The steps of the PM core.
fn steps(writer: &mut Writer, recording: &Recording<'_>) {
    let track = writer.track("PM core", None);
    let mut open: Vec<&str> = Vec::new();
    for line in recording.lines {
        let time = recording.clock.host(line.time);
        match &line.event {
            Event::Step { name, begin: true } => {
                open.push(name);
                writer.begin(track, time, name);
            }
            Event::Step { name, begin: false } => {
                // What began before the trace has no slice, and an inner step may have no end.
                let Some(at) = open.iter().rposition(|step| step == name) else {
                    continue;
                };
                for _ in open.drain(at..) {
                    writer.end(track, time);
                }
            }
            _ => {}
        }
    }
}

/// The callbacks of all devices; those that are not virtio devices get tracks of their own.
fn calls<'a>(
    writer: &mut Writer,
    recording: &Recording<'a>,
    mut tracks: BTreeMap<&'a str, Track>,
) -> usize {
    let others = writer.track("other devices", None);
    let mut count = 0;
    for line in recording.lines {
        let time = recording.clock.host(line.time);
        match &line.event {
            Event::Call {
                device,
                driver,
                what,
            } => {
                count += 1;
                let track = tracks
                    .entry(device)
                    .or_insert_with(|| writer.track(&format!("{driver} {device}"), Some(others)));
                writer.begin(*track, time, what);
            }
            Event::Return { device, error } => {
                let Some(track) = tracks.get(device.as_str()) else {
                    continue;
                };
                writer.end(*track, time);
                if error != "0" {
                    writer.instant(*track, time, &format!("error {error}"), device);
                }
            }
            _ => {}
        }
    }
    count
}

/// The tracks of a virtio device.
struct Registers {
    /// What was before is not on the timeline, but for the state that it left.
    begin: Time,
    device: Track,
    status: Track,
    accesses: Track,
}

impl Registers {
    /// The states that the driver brings the device to, each access, and what breaks a rule.
    fn draw(&self, writer: &mut Writer, trace: &DeviceTrace, count: &mut Count) {
        let (mut checker, mut msix) = (Checker::default(), false);
        let (mut open, mut stage, mut last) = (false, Stage::Unknown, self.begin);
        for access in trace.segments.iter().flat_map(|segment| &segment.accesses) {
            // Firmware has INTx, whatever the driver behind it has.
            let vector = matches!(
                access.register,
                Register::ConfigVector | Register::QueueVector
            );
            msix = (msix || vector) && !access.is_reset();
            let broken = checker.judge(access, Phase::Between, msix);
            let before = stage;
            if access.writes(Register::Status) {
                stage = Stage::of(Some(access.status()));
            }
            let time = access.time.as_deref().and_then(stamp);
            let Some(time) = time.filter(|time| *time >= self.begin) else {
                continue;
            };
            if !open && before != Stage::Unknown {
                writer.begin(self.status, self.begin, before.name());
                open = true;
            }
            if stage != before {
                if open {
                    writer.end(self.status, time);
                }
                writer.begin(self.status, time, stage.name());
                open = true;
            }
            let text = access.to_string();
            let line = format!("line {} of the trace", access.line);
            writer.instant(self.accesses, time, &text, &line);
            for (rule, message) in &broken {
                let text = format!("{message}: {}", rule.text);
                writer.instant(self.device, time, &format!("breaks {}", rule.id), &text);
            }
            count.accesses += access.times;
            count.breaches += broken.len();
            last = time;
        }
        if open {
            writer.end(self.status, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ftrace;
    use super::*;

    const FTRACE: &str = "\
        sh-1 [000] ..... 1.0: tracing_mark_write: vmtest before-1 begin\n\
        sh-1 [000] ..... 1.1: tracing_mark_write: vmtest before-1 end\n\
        sh-1 [000] ..... 1.2: tracing_mark_write: vmtest before-2 begin\n\
        sh-1 [000] ..... 1.3: tracing_mark_write: vmtest before-2 end\n\
        sh-1 [000] ..... 2.0: device_pm_callback_start: virtio-pci 0000:00:03.0, parent: x, bus [suspend]\n\
        sh-1 [000] ..... 2.1: device_pm_callback_end: virtio-pci 0000:00:03.0, err=0\n\
        sh-1 [000] ..... 2.2: device_pm_callback_start: serial ttyS0, parent: x, [suspend]\n\
        sh-1 [000] ..... 3.0: suspend_resume: machine_suspend[3] begin\n\
        sh-1 [000] ..... 4.0: tracing_mark_write: vmtest after-1 begin\n\
        sh-1 [000] ..... 4.1: tracing_mark_write: vmtest after-1 end\n\
        sh-1 [000] ..... 4.2: tracing_mark_write: vmtest after-2 begin\n\
        sh-1 [000] ..... 4.3: tracing_mark_write: vmtest after-2 end\n";

    #[test]
    fn a_device_has_its_callbacks_states_and_breaches() {
        let access = |time: &str, value: u8| {
            format!(
                "1@{time}:memory_region_ops_write cpu 0 mr 0x7 addr 0xc012 value {value:#x} size 1 \
                 name 'virtio-pci'\n"
            )
        };
        // A reset that is not awaited.
        let trace = access("102.0", 0) + &access("102.1", 1);
        let run = Run::parse(&trace, &["blk=0xc000+0x40".parse().unwrap()]).unwrap();
        let lines = ftrace::parse(FTRACE).unwrap();
        let second = 1_000_000_000;
        let (bytes, count) = draw(&Recording {
            runs: &[run],
            lines: &lines,
            log: &[(2 * second, "PM: suspend entry".to_owned())],
            devices: &[("blk".to_owned(), "0000:00:03.0".to_owned())],
            clock: Clock::new(&lines, [100, 101, 204, 205].map(|host| host * second)).unwrap(),
        });
        let expected = Count {
            callbacks: 2,
            accesses: 2,
            breaches: 1,
        };
        assert_eq!(count, expected);
        let text = String::from_utf8_lossy(&bytes);
        for name in [
            "blk (0000:00:03.0)",
            "bus [suspend]",
            "ACKNOWLEDGE",
            "breaks reset-complete",
            "PM: suspend entry",
            "serial ttyS0",
        ] {
            assert!(text.contains(name), "{name}");
        }
    }
}
