// SPDX-License-Identifier: GPL-2.0

//! KVM's tracepoints `kvm_pio` and `kvm_mmio`, as trace-cmd, perf and the trace file print them.
//!
//! They know nothing of devices: where the BARs are must be told. What KVM handles by itself, as
//! notifications that are bound to an eventfd, is traced too. An access of a string instruction
//! (count above 1) shows its first value only.

use super::{hex, seconds, size, Event, RawAccess, Region};
use anyhow::{bail, Context, Result};

/// Reads a line; none if it is of another event.
pub(super) fn parse(number: usize, line: &str) -> Result<Option<Event>> {
    let found = |name: &str| {
        line.split_once(name)
            .map(|(before, after)| (before, after.trim()))
    };
    let (prefix, region, access) = if let Some((prefix, text)) = found("kvm_pio:") {
        (prefix, Region::Ports, pio(text)?)
    } else if let Some((prefix, text)) = found("kvm_mmio:") {
        match mmio(text)? {
            Some(access) => (prefix, Region::Memory, access),
            None => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    Ok(Some(Event::Access(RawAccess {
        line: number,
        time: seconds(prefix),
        cpu: cpu(prefix),
        region,
        address: access.address,
        value: access.value,
        size: access.size,
        write: access.write,
        msix: None,
        phase: None,
    })))
}

struct Found {
    address: u64,
    value: u64,
    size: u8,
    write: bool,
}

/// `pio_write at 0xc012 size 1 count 1 val 0x3`
fn pio(text: &str) -> Result<Found> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind, "at", address, "size", width, "count", _, "val", value, ..] = words[..] else {
        bail!("not as kvm_pio is printed");
    };
    let write = match kind {
        "pio_write" => true,
        "pio_read" => false,
        _ => bail!("neither pio_read nor pio_write"),
    };
    Ok(Found {
        address: hex(address)?,
        value: hex(value)?,
        size: size(width)?,
        write,
    })
}

/// `mmio write len 1 gpa 0xfebd0012 val 0x3`; none for a read that has no value yet.
fn mmio(text: &str) -> Result<Option<Found>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["mmio", kind, "len", width, "gpa", address, "val", value, ..] = words[..] else {
        bail!("not as kvm_mmio is printed");
    };
    let write = match kind {
        "write" => true,
        "read" => false,
        "unsatisfied-read" => return Ok(None),
        _ => bail!("neither read nor write"),
    };
    let bytes: u8 = width.parse().context("length")?;
    // KVM splits what goes beyond 8 bytes, so other lengths are of no register.
    let Ok(size) = size(width) else {
        return match bytes {
            3 | 5..=7 => Ok(None),
            _ => bail!("not a width: {width}"),
        };
    };
    Ok(Some(Found {
        address: hex(address)?,
        value: hex(value)?,
        size,
        write,
    }))
}

/// The CPU between brackets, where the thread ran.
fn cpu(prefix: &str) -> i32 {
    let number = prefix
        .rsplit_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    number
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(line: &str) -> RawAccess {
        match parse(1, line).unwrap() {
            Some(Event::Access(access)) => access,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_trace_cmd_and_perf_and_the_kernel_print() {
        for line in [
            "   qemu-system-x86-4711  [003]  1234.567890: kvm_pio:              pio_write at \
             0xc012 size 1 count 1 val 0x3 ",
            "       CPU 0/KVM  4711 [003]  1234.567890:                    kvm:kvm_pio: \
             pio_write at 0xc012 size 1 count 1 val 0x3",
            "       CPU 0/KVM-4711    [003] d..1.  1234.567890: kvm_pio: pio_write at 0xc012 \
             size 1 count 1 val 0x3 ",
        ] {
            let access = access(line);
            assert_eq!(access.time.as_deref(), Some("1234.567890"), "{line}");
            assert_eq!((access.cpu, access.address), (3, 0xc012));
            assert_eq!((access.value, access.size, access.write), (3, 1, true));
            assert_eq!(access.region, Region::Ports);
        }
    }

    #[test]
    fn memory_is_read_when_the_value_is_there() {
        let line = "qemu-1 [000] 1.5: kvm_mmio: mmio KIND len 4 gpa 0xfebd0000 val 0x79000000";
        assert_eq!(
            parse(1, &line.replace("KIND", "unsatisfied-read")).unwrap(),
            None
        );
        let read = access(&line.replace("KIND", "read"));
        assert_eq!((read.value, read.write), (0x7900_0000, false));
        assert_eq!(read.region, Region::Memory);
        assert!(access(&line.replace("KIND", "write")).write);
    }

    #[test]
    fn what_is_printed_otherwise_is_an_error() {
        for line in [
            "kvm_pio: pio_write at 0xc012 size 1 count 1",
            "kvm_pio: pio_poke at 0xc012 size 1 count 1 val 0x3",
            "kvm_pio: pio_write at here size 1 count 1 val 0x3",
            "kvm_mmio: mmio write len 9 gpa 0x0 val 0x0",
            "kvm_mmio: mmio poke len 1 gpa 0x0 val 0x0",
        ] {
            assert!(parse(1, line).is_err(), "{line}");
        }
    }
}
