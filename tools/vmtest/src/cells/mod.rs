// SPDX-License-Identifier: GPL-2.0

//! What several tests are made of.

pub(crate) mod config_space;
pub(crate) mod device;
pub(crate) mod leaks;
pub(crate) mod lifecycle;
pub(crate) mod main_job;
pub(crate) mod resumed;
pub(crate) mod ringbuf;
pub(crate) mod sleep;
pub(crate) mod stamps;
pub(crate) mod strict;
pub(crate) mod traces;
