// SPDX-License-Identifier: GPL-2.0

//! Accesses in a few characters each, for the examples of the rules and for tests.
//!
//! `STATUS=3` is a write, `STATUS?3` a read that gave 3. `/2` behind it is its width in bytes, if
//! it is not the register's own. Numbers that begin with `0x` are hexadecimal. `config+8?5/4` is in
//! the device configuration, `inside+21?0/1` begins inside of a register. `[msix]` enables MSI-X,
//! and `[freeze]` and `[restore]` begin these phases.

use crate::access::{number, Access, Register};
use crate::phase::Phase;
use anyhow::{Context, Result};

/// A word of the notation.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// An access.
    Access(Access),
    /// MSI-X is enabled.
    Msix,
    /// A phase begins.
    Phase(Phase),
}

/// Reads words that are separated by spaces; each access gets its place as its line.
///
/// # Errors
///
/// A word is none of the notation.
pub fn parse(text: &str) -> Result<Vec<Word>> {
    let words = text.split_whitespace().enumerate();
    words
        .map(|(at, word)| parse_word(at + 1, word).with_context(|| format!("{word} is no access")))
        .collect()
}

fn parse_word(line: usize, word: &str) -> Result<Word> {
    match word {
        "[msix]" => return Ok(Word::Msix),
        "[freeze]" => return Ok(Word::Phase(Phase::Freeze)),
        "[restore]" => return Ok(Word::Phase(Phase::Restore)),
        _ => {}
    }
    let at = word.find(['=', '?']).context("neither = nor ?")?;
    let (name, rest) = word.split_at(at);
    let write = rest.starts_with('=');
    let (value, size) = match rest[1..].split_once('/') {
        Some((value, size)) => (value, Some(size.parse().context("width")?)),
        None => (&rest[1..], None),
    };
    let register: Register = name.parse()?;
    Ok(Word::Access(Access {
        line,
        time: None,
        cpu: 0,
        register,
        write,
        size: size.unwrap_or_else(|| register.width().unwrap_or(1)),
        value: number(value)?,
        times: 1,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_accesses_and_marks() {
        let words = parse("[msix] STATUS=0x3 config+8?5/4 inside+21?0 [freeze]").unwrap();
        let text: Vec<String> = words
            .iter()
            .map(|word| match word {
                Word::Access(access) => access.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        let expected = [
            "Msix",
            "STATUS=0x3 (ACKNOWLEDGE|DRIVER)",
            "config+8? 0x5 (4 bytes)",
            "inside+21? 0x0 (1 byte)",
            "Phase(Freeze)",
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn other_words_are_refused() {
        for text in [
            "STATUS",
            "NOTHING=1",
            "STATUS=x",
            "STATUS=1/x",
            "config+x?0",
            "[sleep]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
