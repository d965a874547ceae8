// SPDX-License-Identifier: GPL-2.0

//! The text of ftrace with the events of `power:*`.

use anyhow::{Context, Result};

use super::time::{seconds, Time};

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// `suspend_resume`: a step of the PM core begins or ends.
    Step {
        /// Its name, as `dpm_suspend[2]`.
        name: String,
        /// Whether it begins.
        begin: bool,
    },
    /// `device_pm_callback_start`: a device's callback is called.
    Call {
        /// The device.
        device: String,
        /// Its driver.
        driver: String,
        /// What is called, as `bus [suspend]`.
        what: String,
    },
    /// `device_pm_callback_end`: it has returned.
    Return {
        /// The device.
        device: String,
        /// Its error, 0 if it has none.
        error: String,
    },
    /// What the guest wrote to `trace_marker`.
    Mark(String),
    /// Another event.
    Other,
}

/// A line of ftrace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The guest's time.
    pub(super) time: Time,
    /// What it tells.
    pub(super) event: Event,
}

/// Reads the text; lines that begin with `#` are its head.
///
/// # Errors
///
/// A line has not the form of ftrace.
pub(super) fn parse(text: &str) -> Result<Vec<Line>> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| parse_line(line).with_context(|| format!("not a line of ftrace: {line}")))
        .collect()
}

fn parse_line(line: &str) -> Option<Line> {
    // sh-93 [001] ..... 12.345678: suspend_resume: dpm_suspend[2] begin
    let (_, rest) = line.split_once('[')?;
    let (_, rest) = rest.split_once(']')?;
    let (head, rest) = rest.split_once(": ")?;
    let time = seconds(head.split_whitespace().last()?)?;
    let (name, text) = rest.split_once(": ")?;
    let event = match name {
        "suspend_resume" => {
            let (name, edge) = text.rsplit_once(' ')?;
            Event::Step {
                name: name.to_owned(),
                begin: edge == "begin",
            }
        }
        // virtio-pci 0000:00:03.0, parent: pci0000:00, bus [suspend]
        "device_pm_callback_start" => {
            let (device, rest) = text.split_once(", parent: ")?;
            let (driver, device) = device.split_once(' ')?;
            let (_, what) = rest.split_once(", ")?;
            Event::Call {
                device: device.to_owned(),
                driver: driver.to_owned(),
                what: what.to_owned(),
            }
        }
        "device_pm_callback_end" => {
            let (device, error) = text.split_once(", err=")?;
            let (_, device) = device.split_once(' ')?;
            Event::Return {
                device: device.to_owned(),
                error: error.to_owned(),
            }
        }
        "tracing_mark_write" => Event::Mark(text.to_owned()),
        _ => Event::Other,
    };
    Some(Line { time, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_read() {
        let text = "\
# tracer: nop
#
              sh-93      [001] .....    12.345678: suspend_resume: dpm_suspend[2] begin
              sh-93      [001] .....    12.345679: device_pm_callback_start: virtio-pci 0000:00:03.0, parent: pci0000:00, bus [suspend]
              sh-93      [001] .....    12.345680: device_pm_callback_end: virtio-pci 0000:00:03.0, err=-16
              sh-93      [001] .....    12.345681: tracing_mark_write: vmtest before begin
           <...>-7       [000] d.h2.    12.345682: cpu_idle: state=1 cpu_id=0
";
        let lines = parse(text).unwrap();
        let events: Vec<_> = lines.into_iter().map(|line| line.event).collect();
        let device = "0000:00:03.0".to_owned();
        let expected = [
            Event::Step {
                name: "dpm_suspend[2]".to_owned(),
                begin: true,
            },
            Event::Call {
                device: device.clone(),
                driver: "virtio-pci".to_owned(),
                what: "bus [suspend]".to_owned(),
            },
            Event::Return {
                device,
                error: "-16".to_owned(),
            },
            Event::Mark("vmtest before begin".to_owned()),
            Event::Other,
        ];
        assert_eq!(events, expected);
        assert!(parse("no such line").is_err());
    }
}
