// SPDX-License-Identifier: GPL-2.0

//! A client of QEMU's machine protocol, as much of it as the tests need.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{json, Value};

use crate::failure::{Failure, Outcome};
use crate::lines::{Lines, Next};

/// How long QEMU may take to answer a command.
const ANSWER: Duration = Duration::from_secs(30);

/// A connection to QEMU's monitor.
pub struct Qmp {
    writer: UnixStream,
    lines: Lines,
    events: Vec<Value>,
    /// Everything that was said, for the log folder.
    transcript: File,
}

impl Qmp {
    /// Takes over a connected socket and leaves the negotiation mode.
    pub fn new(socket: UnixStream, transcript: File) -> Outcome<Self> {
        let writer = socket
            .try_clone()
            .context("cannot clone the monitor socket")?;
        let mut qmp = Self {
            writer,
            lines: Lines::new(socket),
            events: Vec::new(),
            transcript,
        };
        qmp.message(Instant::now() + ANSWER, ANSWER, "the monitor's greeting")?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and gives what it returns.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Outcome<Value> {
        let what = format!("the monitor command {command}");
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.record(&line);
        self.writer
            .write_all(line.as_bytes())
            .map_err(|_| Failure::LostVm(format!("sending {what}")))?;
        let deadline = Instant::now() + ANSWER;
        loop {
            let mut message = self.message(deadline, ANSWER, &what)?;
            if let Some(value) = message.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = message.get("error") {
                let text = error["desc"].as_str().unwrap_or("unknown error");
                return Err(Failure::Failed(format!("{what}: {text}")));
            }
            self.events.push(message);
        }
    }

    /// Executes a command of the human monitor and gives what it says.
    pub fn human(&mut self, command: &str) -> Outcome<String> {
        let arguments = json!({ "command-line": command });
        let answer = self.execute("human-monitor-command", &arguments)?;
        Ok(answer.as_str().unwrap_or_default().trim().to_owned())
    }

    /// The run state, as `running` or `suspended`.
    pub fn run_state(&mut self) -> Outcome<String> {
        let answer = self.execute("query-status", &json!({}))?;
        Ok(answer["status"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits for the event that a device was removed.
    pub fn wait_deleted(&mut self, device: &str, limit: Duration) -> Outcome {
        let what = format!("the removal of {device}");
        let deadline = Instant::now() + limit;
        loop {
            let found = self.events.iter().position(|event| {
                event["event"] == "DEVICE_DELETED" && event["data"]["device"] == device
            });
            if let Some(found) = found {
                self.events.remove(found);
                return Ok(());
            }
            let event = self.message(deadline, limit, &what)?;
            self.events.push(event);
        }
    }

    /// The transcript is only read by users; a full disk must not change a verdict.
    fn record(&mut self, text: &str) {
        let _ = self.transcript.write_all(text.as_bytes());
    }

    fn message(&mut self, deadline: Instant, limit: Duration, what: &str) -> Outcome<Value> {
        match self.lines.next(deadline) {
            Next::Line(line) => {
                self.record(&line);
                self.record("\n");
                Ok(serde_json::from_str(&line)
                    .with_context(|| format!("the monitor said {line:?}"))?)
            }
            Next::Closed => Err(Failure::LostVm(format!("waiting for {what}"))),
            Next::Late => Err(Failure::TimedOut {
                what: what.to_owned(),
                limit,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    fn nowhere() -> File {
        File::options().write(true).open("/dev/null").unwrap()
    }

    /// A monitor that answers the lines that it gets with these.
    fn monitor(socket: UnixStream, answers: &'static [&'static str]) {
        std::thread::spawn(move || {
            let mut writer = socket.try_clone().unwrap();
            writer.write_all(b"{\"QMP\": {}}\n").unwrap();
            let mut reader = BufReader::new(socket);
            for answer in answers {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                writer.write_all(answer.as_bytes()).unwrap();
            }
        });
    }

    #[test]
    fn events_between_do_not_hide_an_answer() {
        let (there, here) = UnixStream::pair().unwrap();
        monitor(
            there,
            &[
                "{\"return\": {}}\n",
                "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"net\"}}\n\
                 {\"return\": {\"status\": \"suspended\"}}\n",
            ],
        );
        let mut qmp = Qmp::new(here, nowhere()).unwrap();
        assert_eq!(qmp.run_state().unwrap(), "suspended");
        qmp.wait_deleted("net", Duration::from_secs(600)).unwrap();
    }

    #[test]
    fn an_error_and_a_lost_monitor_have_their_names() {
        let (there, here) = UnixStream::pair().unwrap();
        monitor(
            there,
            &[
                "{\"return\": {}}\n",
                "{\"error\": {\"desc\": \"no such device\"}}\n",
            ],
        );
        let mut qmp = Qmp::new(here, nowhere()).unwrap();
        let failure = qmp
            .execute("device_del", &json!({ "id": "x" }))
            .unwrap_err();
        assert!(failure.to_string().contains("no such device"), "{failure}");
        let failure = qmp.run_state().unwrap_err();
        assert_eq!(failure.name(), "LostVm");
    }
}
