// SPDX-License-Identifier: GPL-2.0

//! How much is tried: all of it, or samples under Miri, which is some hundred times slower.

/// All of these values, or some of them under Miri.
pub(crate) fn thinned<T>(values: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    values.step_by(if cfg!(miri) { 61 } else { 1 })
}

/// `count` cases, or fewer under Miri.
pub(crate) const fn cases(count: u32) -> u32 {
    if cfg!(miri) {
        count / 128
    } else {
        count
    }
}
