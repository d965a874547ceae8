// SPDX-License-Identifier: GPL-2.0

//! Reads register accesses from whatever traced them.
//!
//! Text is read line by line, and each line tells by itself what wrote it; lines of other events
//! are skipped. A file that begins as QEMU's `simple` backend writes it is read as that. Nothing is
//! kept of what was read.

mod kvm;
mod qemu_log;
mod scripted;
mod simpletrace;
mod vfio;

use crate::phase::{Phase, MARK_PORT};
use anyhow::{bail, Context, Result};
use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Seek};
use std::path::Path;

/// The name of the legacy BAR's memory region in QEMU.
const LEGACY_REGION: &str = "virtio-pci";
/// The memory regions that marks are written to: the port's own, and that of all ports where a
/// machine has no such port.
const MARK_REGIONS: [&str; 2] = ["ioport80", "io"];
/// No line of any trace is longer.
const LONGEST: usize = 4096;

/// What an address is an address of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Region {
    /// A memory region of QEMU, which stays the same when the BAR moves.
    Qemu(u64),
    /// All I/O ports.
    Ports,
    /// All memory.
    Memory,
    /// The BAR of this device.
    Bar(String),
}

/// An access to some device's registers, not yet decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawAccess {
    /// The line or the record in the trace file, from 1.
    pub(crate) line: usize,
    /// The timestamp as the trace has it, if it has them.
    pub(crate) time: Option<String>,
    /// The virtual CPU.
    pub(crate) cpu: i32,
    /// What the address is an address of.
    pub(crate) region: Region,
    /// The port, the address, or the offset in the BAR.
    pub(crate) address: u64,
    /// The value read or written.
    pub(crate) value: u64,
    /// Bytes.
    pub(crate) size: u8,
    /// Whether it is a write.
    pub(crate) write: bool,
    /// Whether MSI-X is enabled, if the trace tells.
    pub(crate) msix: Option<bool>,
    /// The phase, if the trace tells it access by access.
    pub(crate) phase: Option<Phase>,
}

/// What a trace file holds that matters here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A register access.
    Access(RawAccess),
    /// The beginning of a phase.
    Mark(Phase),
}

/// A trace file that is read more than once.
pub(crate) struct TraceFile(File);

impl TraceFile {
    /// Opens a file; `-` is the standard input.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.to_str() != Some("-") {
            let file = File::open(path);
            return Ok(Self(
                file.with_context(|| format!("cannot open {}", path.display()))?,
            ));
        }
        let mut spool = tempfile::tempfile().context("cannot make a temporary file")?;
        io::copy(&mut io::stdin().lock(), &mut spool).context("cannot read the trace")?;
        Ok(Self(spool))
    }

    /// Reads it from its beginning.
    pub(crate) fn begin(&self) -> Result<&File> {
        let mut file = &self.0;
        file.rewind().context("cannot read the trace again")?;
        Ok(file)
    }
}

/// Reads the events of a trace, one after the other.
pub(crate) struct Reader<R> {
    input: R,
    line: usize,
    records: Option<simpletrace::Records>,
    cut: bool,
}

impl<R: BufRead> Reader<R> {
    /// Looks at the beginning, to see what it is.
    pub(crate) fn new(mut input: R) -> Result<Self> {
        let begin = input.fill_buf().context("cannot read the trace")?;
        let records = begin
            .starts_with(&simpletrace::BEGIN)
            .then(Default::default);
        Ok(Self {
            input,
            line: 0,
            records,
            cut: false,
        })
    }

    /// Whether the end of the trace was cut off, so that its last line says nothing.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    fn next_event(&mut self) -> Result<Option<Event>> {
        if let Some(records) = &mut self.records {
            let event = records.next(&mut self.input)?;
            self.cut |= records.is_cut();
            return Ok(event);
        }
        let mut bytes = Vec::with_capacity(256);
        while let Some(whole) = next_line(&mut self.input, &mut bytes)? {
            self.line += 1;
            let text = String::from_utf8_lossy(&bytes);
            match parse_line(self.line, &text) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(_) if !whole => self.cut = true,
                Err(error) => {
                    let shown: String = text.chars().take(160).collect();
                    return Err(error.context(format!("trace line {}: {shown}", self.line)));
                }
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        self.next_event().transpose()
    }
}

/// Reads a line, or as much of it as can matter; whether it has an end, none behind the last.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<Option<bool>> {
    line.clear();
    let mut begun = false;
    loop {
        let bytes = match input.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read the trace"),
        };
        if bytes.is_empty() {
            return Ok(begun.then_some(false));
        }
        begun = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = LONGEST.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Some(true));
        }
    }
}

/// Reads a line of a text; none if it is of another event.
fn parse_line(number: usize, line: &str) -> Result<Option<Event>> {
    let parsers = [qemu_log::parse, kvm::parse, vfio::parse, scripted::parse];
    for parse in parsers {
        if let Some(event) = parse(number, line)? {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// All events of a text.
pub(crate) fn parse(text: &str) -> Result<Vec<Event>> {
    Reader::new(text.as_bytes())?.collect()
}

/// An access that QEMU made to a memory region of this name: a register, a mark, or neither.
fn in_region(access: RawAccess, name: &str) -> Result<Option<Event>> {
    if name == LEGACY_REGION {
        return Ok(Some(Event::Access(access)));
    }
    // The guest's own writes to the port (delays, POST codes) have its CPU.
    if !access.write || access.cpu != -1 || access.address != MARK_PORT {
        return Ok(None);
    }
    match Phase::from_mark(access.value) {
        Some(phase) => Ok(Some(Event::Mark(phase))),
        None => bail!("unknown mark {}", access.value),
    }
}

/// A number with or without 0x, hexadecimal.
fn hex(word: &str) -> Result<u64> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    u64::from_str_radix(digits, 16).with_context(|| format!("not a number: {word}"))
}

/// A width in bytes.
fn size(word: &str) -> Result<u8> {
    match word.parse() {
        Ok(size @ (1 | 2 | 4 | 8)) => Ok(size),
        _ => bail!("not a width: {word}"),
    }
}

/// The last word before an event that is a time in seconds, with or without a colon.
fn seconds(prefix: &str) -> Option<String> {
    let words = prefix.split_whitespace().rev();
    let mut times = words.map(|word| word.trim_end_matches(':'));
    let time = times.find(|word| {
        let parts = word.split_once('.');
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.is_some_and(|(whole, part)| digits(whole) && digits(part))
    })?;
    Some(time.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: &str = "memory_region_ops_write cpu 0 mr 0x1 addr 0xc012 value 0x3 size 1 name \
                          'virtio-pci'";

    #[test]
    fn other_lines_are_skipped_and_broken_ones_reported() {
        let other = ACCESS.replace("virtio-pci", "apic-msi");
        assert_eq!(
            parse(&format!("{other}\nvirtio_notify vdev 0x1\n")).unwrap(),
            []
        );
        let broken = ACCESS.replace("0xc012", "nothing");
        let error = format!("{:#}", parse(&format!("\n{broken}\n")).unwrap_err());
        assert!(error.starts_with("trace line 2:"), "{error}");
    }

    #[test]
    fn an_end_that_was_cut_off_is_left_out() {
        let text = format!("{ACCESS}\n{}", &ACCESS[..60]);
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), 1);
        assert!(reader.is_cut());
        let mut whole = Reader::new(ACCESS.as_bytes()).unwrap();
        assert_eq!(whole.by_ref().map(Result::unwrap).count(), 1);
        assert!(!whole.is_cut());
    }

    #[test]
    fn what_is_no_text_is_skipped() {
        let mut bytes = vec![0xff; 3 * LONGEST];
        bytes.extend_from_slice(b"\n\xfe\n");
        bytes.extend_from_slice(ACCESS.as_bytes());
        let events: Vec<_> = Reader::new(&bytes[..]).unwrap().collect();
        assert_eq!(events.len(), 1);
        let Ok(Event::Access(access)) = &events[0] else {
            panic!("{events:?}");
        };
        assert_eq!(access.line, 3);
    }

    #[test]
    fn kinds_of_traces_may_be_mixed() {
        let text = format!(
            "{ACCESS}\n kvm_pio: pio_read at 0xc012 size 1 count 1 val 0x3 \n\
             vfio_region_read  (0000:01:00.0:region0+0x12, 1) = 0x3\n"
        );
        assert_eq!(parse(&text).unwrap().len(), 3);
    }
}
