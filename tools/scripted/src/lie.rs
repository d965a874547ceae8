// SPDX-License-Identifier: GPL-2.0

//! Lies: which access, at which time, is answered otherwise than by an honest device.
//!
//! A lie is one line of text, as `restore read QUEUE_NUM = 0x3` or `run write QUEUE_NOTIFY gone
//! x1`.

use std::fmt;
use std::str::FromStr;

use anyhow::{bail, ensure, Context, Error, Result};
use virtio_check::access::{number, Register};

/// What the driver is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Time {
    /// The device is awake and not live.
    Probe,
    /// The device is live.
    Run,
    /// From the reset of a freeze on.
    Freeze,
    /// From the reset of a restore on, until the device is live.
    Restore,
}

impl Time {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Probe, Self::Run, Self::Freeze, Self::Restore];

    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Run => "run",
            Self::Freeze => "freeze",
            Self::Restore => "restore",
        }
    }
}

/// What is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A register.
    Register(Register),
    /// The status after a reset, before anything else was written to it.
    StatusAfterReset,
    /// All of the device configuration.
    Config,
    /// All of BAR0.
    Any,
}

impl Target {
    fn matches(self, register: Register, status: u8) -> bool {
        match self {
            Self::Register(wanted) => register == wanted,
            Self::StatusAfterReset => register == Register::Status && status == 0,
            Self::Config => matches!(register, Register::Config(_)),
            Self::Any => true,
        }
    }
}

/// What the device does instead, or besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A read gives this value.
    Value(u64),
    /// A read has these bits set.
    Set(u64),
    /// A read has these bits cleared.
    Clear(u64),
    /// Each read gives another value.
    Counts,
    /// The device is gone: each read gives ones, and nothing is done any more.
    Gone,
    /// A write has no effect.
    Dropped,
    /// An interrupt on every vector, and the ISR reads as this.
    Interrupt(u8),
    /// So many interrupts on every vector, from a thread; the ISR reads as this each time.
    Storm(u8, u32),
    /// Used buffers are given back with this id.
    UsedId(u32),
    /// The device resets itself.
    Reset,
    /// A reset is complete once the status was read this often; until then, the device serves its
    /// virtqueues.
    Late(u32),
}

/// One lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lie {
    /// When.
    pub time: Time,
    /// Whether it is a write that is answered so.
    pub write: bool,
    /// What is accessed.
    pub target: Target,
    /// What the device does.
    pub deed: Deed,
    /// How often; always if not given.
    pub times: Option<u32>,
}

impl Lie {
    /// Whether an access is answered with this lie.
    pub(crate) fn is_for(&self, time: Time, write: bool, register: Register, status: u8) -> bool {
        self.time == time
            && self.write == write
            && self.target.matches(register, status)
            && self.times != Some(0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(register) => register.fmt(f),
            Self::StatusAfterReset => f.write_str("STATUS-after-reset"),
            Self::Config => f.write_str("config"),
            Self::Any => f.write_str("any"),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "STATUS-after-reset" => Self::StatusAfterReset,
            "config" => Self::Config,
            "any" => Self::Any,
            _ => Self::Register(text.parse()?),
        })
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.write { "write" } else { "read" };
        write!(f, "{} {kind} {} ", self.time.name(), self.target)?;
        match self.deed {
            Deed::Value(value) => write!(f, "= {value:#x}")?,
            Deed::Set(bits) => write!(f, "set {bits:#x}")?,
            Deed::Clear(bits) => write!(f, "clear {bits:#x}")?,
            Deed::Counts => f.write_str("counts")?,
            Deed::Gone => f.write_str("gone")?,
            Deed::Dropped => f.write_str("dropped")?,
            Deed::Interrupt(isr) => write!(f, "interrupt {isr:#x}")?,
            Deed::Storm(isr, count) => write!(f, "storm {isr:#x} {count}")?,
            Deed::UsedId(id) => write!(f, "used-id {id:#x}")?,
            Deed::Reset => f.write_str("reset")?,
            Deed::Late(reads) => write!(f, "late {reads}")?,
        }
        match self.times {
            Some(times) => write!(f, " x{times}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Lie {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let times = match words.last().and_then(|word| word.strip_prefix('x')) {
            Some(times) => {
                let times = times.parse()?;
                words.pop();
                Some(times)
            }
            None => None,
        };
        ensure!(words.len() >= 4, "not a lie: {text}");
        let time = Time::ALL.into_iter().find(|time| time.name() == words[0]);
        let time = time.with_context(|| format!("{} is no time", words[0]))?;
        let write = match words[1] {
            "read" => false,
            "write" => true,
            other => bail!("{other} is no kind of access"),
        };
        let deed = match words[3..] {
            ["=", value] => Deed::Value(number(value)?),
            ["set", bits] => Deed::Set(number(bits)?),
            ["clear", bits] => Deed::Clear(number(bits)?),
            ["counts"] => Deed::Counts,
            ["gone"] => Deed::Gone,
            ["dropped"] => Deed::Dropped,
            ["interrupt", isr] => Deed::Interrupt(number(isr)?.try_into()?),
            ["storm", isr, count] => {
                Deed::Storm(number(isr)?.try_into()?, number(count)?.try_into()?)
            }
            ["used-id", id] => Deed::UsedId(number(id)?.try_into()?),
            ["reset"] => Deed::Reset,
            ["late", reads] => Deed::Late(number(reads)?.try_into()?),
            _ => bail!("not a deed: {}", words[3..].join(" ")),
        };
        Ok(Self {
            time,
            write,
            target: words[2].parse()?,
            deed,
            times,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lie_is_one_line_of_text() {
        for text in [
            "probe read QUEUE_NUM = 0x3",
            "restore read HOST_FEATURES clear 0x20000000",
            "run write QUEUE_NOTIFY gone x1",
            "freeze read STATUS-after-reset set 0xf",
            "probe write QUEUE_PFN interrupt 0x3 x2",
            "run write QUEUE_NOTIFY storm 0x3 1000 x1",
            "run write QUEUE_NOTIFY used-id 0xdead",
            "probe read config counts",
            "restore read config+4 = 0x0",
            "restore write any dropped",
            "run read any reset",
            "freeze write STATUS late 20",
        ] {
            let lie: Lie = text.parse().unwrap();
            assert_eq!(lie.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_lie_is_refused() {
        for text in [
            "",
            "probe read",
            "dinner read STATUS = 0",
            "probe poke STATUS = 0",
            "probe read NOTHING = 0",
            "probe read STATUS = many",
            "probe read STATUS interrupt 0x1000",
        ] {
            assert!(text.parse::<Lie>().is_err(), "{text}");
        }
    }
}
