// SPDX-License-Identifier: GPL-2.0

//! The kinds of sleep, and what has to be as before afterwards.

use std::time::{Duration, Instant};

use super::guest::{Guest, Way, COMMAND};
use super::peer::Peer;
use vm::failure::{Failure, Outcome};

/// How often in a row the clock of the machine may be before systemd's.
const EARLY: u32 = 5;

/// What a person asks systemd for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Suspend,
    Hibernate,
    HybridSleep,
    SuspendThenHibernate,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Suspend,
        Self::Hibernate,
        Self::HybridSleep,
        Self::SuspendThenHibernate,
    ];

    /// The verb of systemctl.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Hibernate => "hibernate",
            Self::HybridSleep => "hybrid-sleep",
            Self::SuspendThenHibernate => "suspend-then-hibernate",
        }
    }
}

/// Has the system sleep and wakes it up, by a new QEMU where it has hibernated.
///
/// A hybrid sleep ends by a key in odd rounds, and by a power cut in even ones.
/// To hibernate, the clock of the machine wakes it up. That counts whole seconds, and may be up to
/// one before systemd's alarm, which then takes it for a person and does not hibernate: it is asked
/// again.
pub(crate) fn sleep(guest: &mut Guest, kind: Kind, round: u32) -> Outcome {
    let mut early = 0;
    guest.ok(&format!("systemctl {}", kind.name()))?;
    match kind {
        Kind::Suspend => {
            guest.await_suspended()?;
            guest.wake_up()?;
            guest.await_awake("suspend")?;
        }
        Kind::Hibernate => {
            guest.await_off()?;
            guest.restart()?;
            guest.await_awake("hibernate")?;
        }
        Kind::HybridSleep => {
            guest.await_suspended()?;
            if round % 2 == 1 {
                guest.wake_up()?;
            } else {
                guest.cut_power()?;
            }
            guest.await_awake("hybrid-sleep")?;
        }
        Kind::SuspendThenHibernate => {
            let ended = format!("=== ended {}", kind.name());
            guest.await_suspended()?;
            while !guest.is_off_before(&ended)? {
                early += 1;
                if early == EARLY {
                    let what = format!("woke {EARLY} times, and did not hibernate");
                    return Err(Failure::Awake(what));
                }
                guest.ok(&format!("systemctl {}", kind.name()))?;
                guest.await_suspended()?;
            }
            guest.restart()?;
            guest.await_awake("hibernate")?;
            guest.await_line(&ended, COMMAND)?;
        }
    }
    let unit = format!("systemd-{}.service", kind.name());
    let result = format!(
        "while [[ $(systemctl is-active {unit}) =~ ^(active|activating)$ ]]; do sleep 0.5; done; \
         systemctl show -P Result {unit}"
    );
    let (_, said) = guest.execute(&result, COMMAND)?;
    if said != "success" {
        return Err(Failure::Failed(format!("{unit} ended with {said}")));
    }
    Ok(())
}

/// Checks the system from within, and the stream from the other side.
pub(crate) fn check(guest: &mut Guest, peer: &Peer, way: Way) -> Outcome {
    let before = peer.stream();
    let checked = guest.ok(&format!("/usr/lib/system-test/check {}", way.driver()));
    if let Err(Failure::Failed(said)) = checked {
        let stream = peer.stream();
        return Err(Failure::Failed(format!(
            "{said}\nthe TCP stream: {stream:?}"
        )));
    }
    checked?;
    let deadline = Instant::now() + COMMAND;
    let mut now = peer.stream();
    while now.last == before.last && now.wrong.is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
        now = peer.stream();
    }
    if now.wrong.is_some() || now.last <= before.last {
        return Err(Failure::Failed(format!(
            "the TCP stream is broken: {now:?}"
        )));
    }
    Ok(())
}
