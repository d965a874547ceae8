// SPDX-License-Identifier: GPL-2.0

//! The kinds of sleep, and what has to be as before afterwards.

use std::time::{Duration, Instant};

use super::guest::{Guest, Way, COMMAND};
use super::peer::Peer;
use vm::failure::{Failure, Outcome};

/// `HibernateDelaySec` of the image (`tests/system/customize`).
const ALARM: Duration = Duration::from_secs(10);
/// How much earlier the RTC may be.
const RESOLUTION: Duration = Duration::from_secs(1);
/// How often systemd is asked to suspend, then hibernate, before the test fails.
const TRIES: u32 = 5;

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
/// A hybrid sleep ends by a key in odd rounds, and by a power cut and the image in even ones.
pub(crate) fn sleep(guest: &mut Guest, kind: Kind, round: u32) -> Outcome {
    match kind {
        Kind::Suspend => {
            ask(guest, kind)?;
            guest.await_suspended()?;
            guest.wake_up()?;
            guest.await_awake("suspend")?;
        }
        Kind::Hibernate => {
            ask(guest, kind)?;
            guest.await_off()?;
            guest.restart()?;
            guest.await_awake("hibernate")?;
        }
        Kind::HybridSleep => {
            ask(guest, kind)?;
            guest.await_suspended()?;
            if round % 2 == 1 {
                guest.wake_up()?;
            } else {
                guest.cut_power()?;
            }
            guest.await_awake("hybrid-sleep")?;
        }
        Kind::SuspendThenHibernate => suspend_then_hibernate(guest)?,
    }
    await_end(guest, kind)
}

/// Asks systemd for this kind of sleep, as a person does.
fn ask(guest: &mut Guest, kind: Kind) -> Outcome {
    guest.ok(&format!("systemctl {}", kind.name())).map(|_| ())
}

/// Waits until systemd is done with the sleep, which must have succeeded.
fn await_end(guest: &mut Guest, kind: Kind) -> Outcome {
    let unit = format!("systemd-{}.service", kind.name());
    let result = format!(
        "while systemctl list-jobs --no-legend | grep -qE 'sleep|suspend|hibernate'; do \
         sleep 0.5; done; systemctl show -P Result {unit}"
    );
    let (_, said) = guest.execute(&result, COMMAND)?;
    if said != "success" {
        return Err(Failure::Failed(format!("{unit} ended with {said}")));
    }
    Ok(())
}

/// Has the system suspend, then hibernate: its RTC wakes it up between the two.
///
/// The RTC counts whole seconds, and may wake the system up to one second before systemd's alarm,
/// which then takes that for a person's wake-up and does not hibernate: it is asked again, each
/// time at another part of the second.
fn suspend_then_hibernate(guest: &mut Guest) -> Outcome {
    let kind = Kind::SuspendThenHibernate;
    let ended = format!("=== ended {}", kind.name());
    for shift in 1..=TRIES {
        let begin = Instant::now();
        ask(guest, kind)?;
        guest.await_suspended()?;
        if guest.is_off_before(&ended)? {
            guest.restart()?;
            guest.await_awake("hibernate")?;
            return guest.await_line(&ended, COMMAND);
        }
        let slept = begin.elapsed();
        let seconds = slept.as_secs_f64();
        if slept < ALARM - RESOLUTION {
            let what = format!("woke up {seconds:.1} s after the command, not {ALARM:?}");
            return Err(Failure::Awake(what));
        }
        eprintln!("woke up {seconds:.1} s after the command, before systemd's alarm: asking again");
        await_end(guest, kind)?;
        std::thread::sleep(RESOLUTION * shift / TRIES);
    }
    let what = format!("woke up before systemd's alarm {TRIES} times in a row");
    Err(Failure::Awake(what))
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
