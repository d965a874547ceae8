// SPDX-License-Identifier: GPL-2.0

//! Lines from a socket, with a time limit on each wait.

use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// What came of a wait for a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A line, without its end.
    Line(String),
    /// The other side has closed the connection.
    Closed,
    /// Nothing whole came in time.
    Late,
}

/// Cuts what a socket gives into lines.
pub struct Lines {
    reader: BufReader<UnixStream>,
    partial: Vec<u8>,
}

impl Lines {
    /// Takes over the reading side of a socket.
    pub fn new(socket: UnixStream) -> Self {
        Self {
            reader: BufReader::new(socket),
            partial: Vec::new(),
        }
    }

    /// Waits for the next line until the deadline.
    pub fn next(&mut self, deadline: Instant) -> Next {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Late;
            }
            if self.reader.get_ref().set_read_timeout(Some(left)).is_err() {
                return Next::Closed;
            }
            match self.reader.read_until(b'\n', &mut self.partial) {
                Ok(0) => return Next::Closed,
                Ok(_) if self.partial.ends_with(b"\n") => {
                    self.partial.pop();
                    let line = std::mem::take(&mut self.partial);
                    return Next::Line(String::from_utf8_lossy(&line).into_owned());
                }
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(_) => return Next::Closed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    #[test]
    fn lines_come_whole_and_the_end_is_seen() {
        let (mut there, here) = UnixStream::pair().unwrap();
        let mut lines = Lines::new(here);
        let patient = || Instant::now() + Duration::from_secs(600);
        there.write_all(b"one\ntw").unwrap();
        assert_eq!(lines.next(patient()), Next::Line("one".to_owned()));
        assert_eq!(
            lines.next(Instant::now() + Duration::from_millis(10)),
            Next::Late
        );
        there.write_all(b"o\n").unwrap();
        assert_eq!(lines.next(patient()), Next::Line("two".to_owned()));
        drop(there);
        assert_eq!(lines.next(patient()), Next::Closed);
    }
}
