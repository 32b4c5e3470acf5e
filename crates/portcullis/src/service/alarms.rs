//! The thread that looks at the alarms, and tells those who want to know.

mod message;
mod notify;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use portcullis_core::{Clock, SystemClock};
use portcullis_telemetry::{
    Alarms, Metrics,
    alarm::{State, Transition},
    metrics::ReadingError,
};

use self::notify::{Receiver, Told};
pub(crate) use self::{message::statuses, notify::ReceiverError};
use crate::{config, failure::Failure};

/// How often the metrics are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Notifications under way at once; one more is lost and counted.
const UNDER_WAY_MAX: usize = 64;

/// The alarms of a process, and who is told.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) alarms: Alarms,
    /// By the alarm's name.
    receivers: Mutex<HashMap<String, Vec<Arc<Receiver>>>>,
    told: AtomicU64,
    failed: AtomicU64,
}

// === impl Watch ===

impl Watch {
    /// Starts the thread that looks at `metrics` until the process ends.
    pub(crate) fn start(alarms: &[config::Alarm], metrics: &Arc<Metrics>) -> Result<Arc<Self>, Failure> {
        let watch = Arc::new(Self::default());
        watch.replace(alarms)?;
        watch.measure(metrics).map_err(Failure::Readings)?;
        let (runtime, metrics) = (runtime().map_err(Failure::Start)?, Arc::clone(metrics));
        let looking = Arc::clone(&watch);
        thread::Builder::new()
            .name("alarms".to_owned())
            .spawn(move || runtime.block_on(looking.look(&metrics)))
            .map_err(Failure::Start)?;
        Ok(watch)
    }

    /// Puts other alarms in force; those that are the same keep their state.
    ///
    /// # Errors
    /// A receiver's secret cannot be read; the alarms before stay in force.
    pub(crate) fn replace(&self, alarms: &[config::Alarm]) -> Result<(), Failure> {
        let mut receivers = HashMap::new();
        for alarm in alarms {
            let of_alarm = alarm.notify.iter().map(Receiver::open).collect::<Result<Vec<_>, _>>();
            let of_alarm = of_alarm.map_err(|error| Failure::Alarm(alarm.spec.name.clone(), error))?;
            receivers.insert(alarm.spec.name.clone(), of_alarm.into_iter().map(Arc::new).collect());
        }
        *self.receivers.lock().unwrap_or_else(PoisonError::into_inner) = receivers;
        self.alarms
            .replace(alarms.iter().map(|alarm| alarm.spec.clone()).collect());
        Ok(())
    }

    async fn look(self: Arc<Self>, metrics: &Metrics) {
        let under_way = Arc::new(tokio::sync::Semaphore::new(UNDER_WAY_MAX));
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.alarms.is_empty() {
                continue;
            }
            for transition in self.alarms.tick(SystemClock.now(), &metrics.routes()) {
                say(&transition);
                if transition.is_news {
                    self.tell(&transition, &under_way);
                }
            }
        }
    }

    fn tell(self: &Arc<Self>, transition: &Transition, under_way: &Arc<tokio::sync::Semaphore>) {
        let receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        for receiver in receivers.get(&transition.spec.name).into_iter().flatten() {
            let Ok(permit) = Arc::clone(under_way).try_acquire_owned() else {
                self.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    alarm = transition.spec.name,
                    "too many notifications are under way; one is lost"
                );
                continue;
            };
            let (watch, receiver) = (Arc::clone(self), Arc::clone(receiver));
            let transition = transition.clone();
            tokio::spawn(async move {
                let counter = match receiver.tell(&transition).await {
                    Told::Taken => &watch.told,
                    Told::Lost => &watch.failed,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                drop(permit);
            });
        }
    }

    fn measure(self: &Arc<Self>, metrics: &Metrics) -> Result<(), ReadingError> {
        let watch = Arc::downgrade(self);
        metrics.gauge(
            "portcullis_alarms_active",
            "Alarms in the state ALARM.",
            &[],
            move || {
                let statuses = watch.upgrade().map(|watch| watch.alarms.statuses()).unwrap_or_default();
                statuses.iter().filter(|status| status.state == State::Alarm).count() as f64
            },
        )?;
        type Of = fn(&Watch) -> &AtomicU64;
        let counters: [(_, _, Of); 2] = [
            (
                "portcullis_alarm_notifications",
                "Notifications of alarms that were taken.",
                |watch| &watch.told,
            ),
            (
                "portcullis_alarm_notifications_failed",
                "Notifications of alarms that were lost.",
                |watch| &watch.failed,
            ),
        ];
        for (name, help, counter) in counters {
            let watch = Arc::downgrade(self);
            metrics.counter(name, help, &[], move || {
                watch
                    .upgrade()
                    .map_or(0, |watch| counter(&watch).load(Ordering::Relaxed))
            })?;
        }
        Ok(())
    }
}

/// One thread is enough: what it awaits are other processes.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn say(transition: &Transition) {
    let Transition {
        spec, from, to, reason, ..
    } = transition;
    let (from, to) = (from.as_str(), to.as_str());
    match transition.to {
        State::Alarm => tracing::warn!(alarm = spec.name, from, to, reason, "an alarm"),
        State::Ok | State::InsufficientData => tracing::info!(alarm = spec.name, from, to, reason, "an alarm's state"),
    }
}
