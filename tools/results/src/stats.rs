// SPDX-License-Identifier: GPL-2.0

//! Medians, and how sure one may be of their ratio.

use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg64;
use serde::Serialize;

/// The seed of the bootstrap: the same samples give the same interval.
pub const SEED: u64 = 2014;
/// Number of resamples.
pub const RESAMPLES: usize = 10_000;

/// Two medians, and the relative difference of the samples behind them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median with the C driver.
    pub c: f64,
    /// The median with the Rust driver.
    pub rust: f64,
    /// The median of (Rust − C) / C of the pairs.
    pub relative: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end of its 95 % interval.
    pub high: f64,
}

/// The median; none without samples.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// Compares samples that were taken in turn: `c[i]` and `rust[i]` one after the other, in the same
/// machine. What changes from minute to minute is the same for both, and most of what changes from
/// boot to boot; the interval holds for the boots that there were.
///
/// What is told is the median of the differences; the interval is that of the percentile bootstrap.
/// None without samples, if they are no pairs, or if one with the C driver is 0.
pub fn ratio(c: &[f64], rust: &[f64]) -> Option<Ratio> {
    if c.len() != rust.len() {
        return None;
    }
    let relative = |(&c, &rust): (&f64, &f64)| (c != 0.0).then(|| (rust - c) / c);
    let relative: Vec<f64> = c.iter().zip(rust).map(relative).collect::<Option<_>>()?;
    let whole = median(&relative)?;
    let mut random = Pcg64::seed_from_u64(SEED);
    let mut draw = || {
        let one = |_| relative[(random.next_u64() % relative.len() as u64) as usize];
        median(&(0..relative.len()).map(one).collect::<Vec<_>>())
    };
    let mut drawn: Vec<f64> = (0..RESAMPLES).filter_map(|_| draw()).collect();
    drawn.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (drawn.len() as f64 * part) as usize;
        drawn.get(place.min(drawn.len() - 1)).copied()
    };
    Some(Ratio {
        c: median(c)?,
        rust: median(rust)?,
        relative: whole,
        low: at(0.025)?,
        high: at(0.975)?,
    })
}

/// The failure rate that `cycles` cycles without a failure exclude with 95 %.
pub fn failure_bound(cycles: u32) -> Option<f64> {
    (cycles > 0).then(|| 1.0 - 0.05_f64.powf(1.0 / f64::from(cycles)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn equal_samples_leave_no_doubt() {
        let found = ratio(&[10.0; 5], &[11.0; 5]).unwrap();
        assert!((found.relative - 0.1).abs() < 1e-9);
        assert_eq!((found.low, found.high), (found.relative, found.relative));
        assert_eq!(ratio(&[0.0], &[1.0]), None);
        assert_eq!(ratio(&[], &[]), None);
        assert_eq!(ratio(&[1.0, 2.0], &[1.0]), None);
    }

    #[test]
    fn the_interval_is_repeatable_and_holds_the_difference() {
        let c: Vec<f64> = (0..40).map(|n| 100.0 + f64::from(n)).collect();
        let rust: Vec<f64> = (0..40).map(|n| 110.0 + f64::from(n)).collect();
        let found = ratio(&c, &rust).unwrap();
        assert!((found.relative - 10.0 / 119.5).abs() < 1e-5, "{found:?}");
        // Half a normal interval of the median of such differences is about 0.004.
        for half in [found.relative - found.low, found.high - found.relative] {
            assert!((0.001..0.01).contains(&half), "{found:?}");
        }
        assert_eq!(ratio(&c, &rust), Some(found));
    }

    #[test]
    fn what_changes_for_both_drivers_is_no_difference() {
        let machines = [1000.0, 2000.0, 1500.0, 700.0, 1900.0];
        let found = ratio(&machines, &machines.map(|c| c * 1.01)).unwrap();
        for value in [found.relative, found.low, found.high] {
            assert!((value - 0.01).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn three_by_n() {
        let bound = failure_bound(2000).unwrap();
        assert!((bound - 3.0 / 2000.0).abs() < 1e-5, "{bound}");
        assert_eq!(failure_bound(0), None);
    }
}
