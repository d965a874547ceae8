// SPDX-License-Identifier: GPL-2.0

//! The tests that need a VM, and the jobs that are made of them.
//!
//! [`tests`] has the tests, and `cells` what several of them do. Each of the other public modules
//! is a job of `vmtest`: it uses the crate `vm` and `cells`, and no other job, but for [`check`]
//! and [`main_job`], which run several.

pub mod bench;
mod cells;
pub mod check;
pub mod compare;
pub mod hostile;
pub mod kernels;
mod kunit_log;
pub mod main_job;
pub mod shell;
pub mod soak;
mod steps;
pub mod system;
pub mod tests;
pub mod trace_sleep;
