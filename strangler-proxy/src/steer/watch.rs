//! What changes the configuration from outside: files and signals.
//!
//! The files are looked at twice a second. Polling sees what notification misses (network mounts, a symbolic link that is
//! swapped, a folder that is replaced) and costs a few `stat` calls.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{Steering, Switch};
use crate::config::KillSource;

/// How often files are looked at: a change is in force before whoever made it has looked up.
const LOOK: Duration = Duration::from_millis(500);

/// SIGHUP reloads, SIGUSR1 throws the kill switch, SIGUSR2 takes it back.
pub struct Signals {
    reload: Signal,
    kill: Signal,
    unkill: Signal,
}

impl Signals {
    /// Takes the signals, for a process that is the proxy's own.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            kill: signal(SignalKind::user_defined1())?,
            unkill: signal(SignalKind::user_defined2())?,
        })
    }
}

enum Event {
    Look,
    Reload,
    Switch(Switch),
}

/// Looks at the files that may be under way at once: one that hangs on a disk must not keep the next from seeing the kill
/// file, and more than that would only gather.
const LOOKS_MAX: usize = 2;

/// Watches until it is dropped. Waits for nothing that it has started: the kill switch works whatever else hangs.
pub async fn watch(steering: Arc<Steering>, mut signals: Option<Signals>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looks = Arc::new(Semaphore::new(LOOKS_MAX));
    loop {
        let event = match &mut signals {
            Some(signals) => tokio::select! {
                _ = ticks.tick() => Event::Look,
                _ = signals.reload.recv() => Event::Reload,
                _ = signals.kill.recv() => Event::Switch(Switch::On),
                _ = signals.unkill.recv() => Event::Switch(Switch::Off),
            },
            None => {
                ticks.tick().await;
                Event::Look
            }
        };
        let look = match event {
            Event::Look => match Arc::clone(&looks).try_acquire_owned() {
                Ok(look) => Some(look),
                Err(_all_hang) => continue,
            },
            Event::Reload | Event::Switch(_) => None,
        };
        let steering = Arc::clone(&steering);
        // What panics there has said so.
        drop(spawn_blocking(move || {
            match event {
                Event::Look => steering.look(),
                // What is wrong was told by the reload itself.
                Event::Reload => drop(steering.reload("signal")),
                Event::Switch(switch) => {
                    drop(steering.switch(switch, KillSource::Signal, "signal", ""));
                }
            }
            drop(look);
        }));
    }
}
