// SPDX-License-Identifier: GPL-2.0

//! Commands to the guest and their results, over its second serial port.
//!
//! A command is a line `ID LENGTH words...`, where the length is that of the words. The guest says
//! `TAG taken ID` to it, or `TAG again 0` to one that came mutilated: under emulation, the UART now
//! and then loses the contents of its FIFO. Each line of its result is `TAG out ID text`, the last
//! one `TAG end ID status`; the tag is new for each run, so that no other text can be taken for a
//! result.

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::failure::{Failure, Outcome};
use crate::lines::{Lines, Next};

/// How long the guest may take to take a command, before it is sent again.
const TAKEN: Duration = Duration::from_secs(5);
/// How often a command is sent.
const TRIES: usize = 12;

/// A line of the guest.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// The guest is up and waits for commands.
    Hello,
    /// A command arrived as it was sent.
    Taken(u32),
    /// Something arrived that is no command.
    Again,
    /// A line that a command wrote.
    Out(u32, String),
    /// A command ended with this status.
    End(u32, i32),
}

impl Frame {
    /// Reads a line of the guest; `None` if it has not this tag or not this form.
    pub fn parse(tag: &str, line: &str) -> Option<Self> {
        let rest = line.strip_prefix(tag)?.strip_prefix(' ')?;
        let (kind, rest) = rest.split_once(' ')?;
        let (id, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let id = id.parse().ok()?;
        match kind {
            "hello" => Some(Self::Hello),
            "taken" => Some(Self::Taken(id)),
            "again" => Some(Self::Again),
            "out" => Some(Self::Out(id, text.to_owned())),
            "end" => Some(Self::End(id, text.parse().ok()?)),
            _ => None,
        }
    }
}

/// What a command in the guest came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status.
    pub status: i32,
    /// What it wrote.
    pub text: String,
}

/// The host's end of the guest's second serial port.
pub struct Channel {
    tag: String,
    writer: UnixStream,
    lines: Lines,
    /// Everything that was said, for the log folder.
    transcript: std::fs::File,
    last_id: u32,
    /// Frames that came while a command was sent.
    early: VecDeque<Frame>,
    began: Instant,
}

impl Channel {
    /// Takes over a connected socket.
    pub fn new(
        socket: UnixStream,
        tag: &str,
        transcript: std::fs::File,
        last_id: u32,
    ) -> Outcome<Self> {
        let writer = socket
            .try_clone()
            .context("cannot clone the control socket")?;
        Ok(Self {
            tag: tag.to_owned(),
            writer,
            lines: Lines::new(socket),
            transcript,
            last_id,
            early: VecDeque::new(),
            began: Instant::now(),
        })
    }

    /// Waits for the guest to come up.
    pub fn wait_hello(&mut self, limit: Duration) -> Outcome {
        let deadline = Instant::now() + limit;
        while self.frame(deadline, limit, "the guest's first word")? != Frame::Hello {}
        Ok(())
    }

    /// Sends a command and gives its ID.
    pub fn send(&mut self, command: &str) -> Outcome<u32> {
        self.last_id += 1;
        let command = command.replace('\n', " ");
        let line = format!("{} {} {command}\n", self.last_id, command.len());
        for _ in 0..TRIES {
            self.record(&line);
            self.writer
                .write_all(line.as_bytes())
                .map_err(|_| Failure::LostVm(format!("sending {command:?}")))?;
            if self.is_taken(&command)? {
                return Ok(self.last_id);
            }
        }
        Err(Failure::TimedOut {
            what: format!("the guest to take {command:?}"),
            limit: TAKEN,
        })
    }

    /// Whether the guest takes the command that was just sent. It ignores one that comes twice.
    fn is_taken(&mut self, command: &str) -> Outcome<bool> {
        let deadline = Instant::now() + TAKEN;
        loop {
            let frame = match self.fresh_frame(deadline, TAKEN, command) {
                Err(Failure::TimedOut { .. }) => return Ok(false),
                frame => frame?,
            };
            match frame {
                Frame::Taken(id) if id == self.last_id => return Ok(true),
                Frame::Again => return Ok(false),
                Frame::Taken(_) => {}
                Frame::Out(id, _) | Frame::End(id, _) if id == self.last_id => {
                    self.early.push_back(frame);
                    return Ok(true);
                }
                frame => self.early.push_back(frame),
            }
        }
    }

    /// Waits for the result of a command.
    pub fn receive(&mut self, id: u32, what: &str, limit: Duration) -> Outcome<Answer> {
        let (_, answer) = self.receive_any(&[id], what, limit)?;
        Ok(answer)
    }

    /// Waits for the result of whichever of these commands ends first.
    pub fn receive_any(
        &mut self,
        ids: &[u32],
        what: &str,
        limit: Duration,
    ) -> Outcome<(u32, Answer)> {
        self.receive_or_hello(ids, what, limit)?
            .ok_or_else(|| Failure::LostVm(format!("{what}: it booted again")))
    }

    /// The same, or `None` if the guest comes up before.
    pub fn receive_or_hello(
        &mut self,
        ids: &[u32],
        what: &str,
        limit: Duration,
    ) -> Outcome<Option<(u32, Answer)>> {
        let deadline = Instant::now() + limit;
        let mut text = String::new();
        loop {
            match self.frame(deadline, limit, what)? {
                Frame::Out(id, line) if ids.contains(&id) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Frame::End(id, status) if ids.contains(&id) => {
                    let text = text.trim_end().to_owned();
                    return Ok(Some((id, Answer { status, text })));
                }
                Frame::Hello => return Ok(None),
                Frame::Taken(_) | Frame::Again | Frame::Out(..) | Frame::End(..) => {}
            }
        }
    }

    /// The ID of the last command that was sent.
    pub fn last_id(&self) -> u32 {
        self.last_id
    }

    fn frame(&mut self, deadline: Instant, limit: Duration, what: &str) -> Outcome<Frame> {
        match self.early.pop_front() {
            Some(frame) => Ok(frame),
            None => self.fresh_frame(deadline, limit, what),
        }
    }

    fn fresh_frame(&mut self, deadline: Instant, limit: Duration, what: &str) -> Outcome<Frame> {
        loop {
            match self.lines.next(deadline) {
                Next::Line(line) => {
                    self.record(&format!("{line}\n"));
                    if let Some(frame) = Frame::parse(&self.tag, &line) {
                        return Ok(frame);
                    }
                }
                Next::Closed => return Err(Failure::LostVm(format!("waiting for {what}"))),
                Next::Late => {
                    return Err(Failure::TimedOut {
                        what: what.to_owned(),
                        limit,
                    })
                }
            }
        }
    }

    /// The transcript is only read by users; a full disk must not change a verdict.
    fn record(&mut self, text: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        let _ = write!(self.transcript, "[{seconds:9.3}] {text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_read() {
        assert_eq!(Frame::parse("t1", "t1 hello 0"), Some(Frame::Hello));
        assert_eq!(
            Frame::parse("t1", "t1 out 7  two  spaces"),
            Some(Frame::Out(7, " two  spaces".to_owned()))
        );
        assert_eq!(
            Frame::parse("t1", "t1 out 7"),
            Some(Frame::Out(7, String::new()))
        );
        assert_eq!(Frame::parse("t1", "t1 end 7 1"), Some(Frame::End(7, 1)));
    }

    #[test]
    fn what_has_not_the_tag_is_no_frame() {
        for line in [
            "",
            "end 7 0",
            "t2 end 7 0",
            "t1end 7 0",
            " t1 end 7 0",
            " end 7 0",
            "[    1.0] t1 end 7 0",
            "t1 end 7",
            "t1 end seven 0",
            "t1 over 7 0",
        ] {
            assert_eq!(Frame::parse("t1", line), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn output_cannot_end_its_own_command(text in "[ -~]*") {
            let framed = format!("t1 out 3 {text}");
            prop_assert_eq!(Frame::parse("t1", &framed), Some(Frame::Out(3, text)));
        }
    }

    fn pair() -> (UnixStream, Channel) {
        let (there, here) = UnixStream::pair().unwrap();
        let nowhere = std::fs::File::options()
            .write(true)
            .open("/dev/null")
            .unwrap();
        (there, Channel::new(here, "t1", nowhere, 0).unwrap())
    }

    #[test]
    fn a_command_that_came_mutilated_is_sent_again() {
        let (mut there, mut channel) = pair();
        there
            .write_all(b"t1 again 0\nt1 taken 1\nt1 end 1 0\n")
            .unwrap();
        let id = channel.send("two words").unwrap();
        channel
            .receive(id, "two words", Duration::from_secs(600))
            .unwrap();
        drop(channel);
        let mut sent = String::new();
        std::io::Read::read_to_string(&mut there, &mut sent).unwrap();
        assert_eq!(sent, "1 9 two words\n1 9 two words\n");
    }

    #[test]
    fn an_answer_is_put_together_and_others_are_left_out() {
        let (mut there, mut channel) = pair();
        there
            .write_all(b"noise\nt1 out 9 other\nt1 out 1 a\nt9 end 1 0\nt1 out 1 b\nt1 end 1 3\n")
            .unwrap();
        let id = channel.send("words").unwrap();
        let answer = channel
            .receive(id, "words", Duration::from_secs(600))
            .unwrap();
        assert_eq!(
            answer,
            Answer {
                status: 3,
                text: "a\nb".to_owned()
            }
        );
    }

    #[test]
    fn silence_and_loss_have_their_names() {
        let (there, mut channel) = pair();
        let failure = channel.wait_hello(Duration::from_millis(20)).unwrap_err();
        assert_eq!(failure.name(), "TimedOut");
        drop(there);
        let failure = channel.wait_hello(Duration::from_secs(600)).unwrap_err();
        assert_eq!(failure.name(), "LostVm");
    }
}
