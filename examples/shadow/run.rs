//! Three minutes in the life of the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tower::BoxError;
use tower_breaker::State;

use crate::clock::{Clock, shortened};
use crate::dependency::{Dependency, Mode};
use crate::ledger::{Ledger, Pages};
use crate::load::{Load, Seen};
use crate::report;
use crate::settings::{self, SettingsFile};

/// The settings of the first three stages. They say nothing about enforcement, which the operator sets.
const SETTINGS: &str = "\
[stock]
failure_rate_threshold = 0.25
sliding_window = { calls = 20 }
minimum_calls = 20
open_duration = \"333ms\" # four seconds, at the speed of this example
half_open = { consecutive_successes = 2 }
";

/// How the dependency behaves in each stage, and for how many seconds.
const WEATHER: [(Mode, u32); 5] = [
    (Mode::Healthy, 5),
    (Mode::Overloaded, 14),
    (Mode::Healthy, 11),
    (Mode::Flaky, 7),
    (Mode::Healthy, 8),
];

/// The stages of the introduction. The dependency goes through the same in each.
pub(crate) const STAGES: [&str; 4] = ["shadow", "a quarter", "all", "all, other threshold"];
pub(crate) const SHADOW: usize = 0;
pub(crate) const QUARTER: usize = 1;
pub(crate) const ALL: usize = 2;
pub(crate) const OTHER_THRESHOLD: usize = 3;

/// Calls in a second in the life of the service.
const RATE: u32 = 8;
/// How often the service looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(2);

pub(crate) struct Run {
    pub(crate) pages: Pages,
    pub(crate) seen: Seen,
    /// How often the settings file had a mistake.
    pub(crate) mistakes: u32,
    pub(crate) last_state: State,
}

pub(crate) async fn run() -> Result<Run, BoxError> {
    let dependency = Dependency::start().await?;
    let clock = Clock::start();

    let ledger = Ledger::new(clock);
    let listener = ledger.clone();
    let breaker = settings::parse(SETTINGS)?
        .builder("stock")
        .enforcement(0.0)
        .on_event(move |event| listener.on_event(event))
        .build()?;

    let file = SettingsFile::new(SETTINGS)?;
    let mistakes = Arc::new(AtomicU32::new(0));
    let follower = tokio::spawn(settings::follow(
        file.path().to_owned(),
        shortened(LOOK_EVERY),
        Ok(SETTINGS.to_owned()),
        breaker.clone(),
        {
            let mistakes = mistakes.clone();
            move |result| match result {
                // The listener reports what has changed.
                Ok(window) => {
                    report::line(clock.now(), format_args!("settings file read: {window}"));
                }
                Err(error) => {
                    mistakes.fetch_add(1, Ordering::Relaxed);
                    report::mistake(clock.now(), &error);
                }
            }
        },
    ));

    let mut load = Load::new(breaker.clone(), dependency.uri());
    // Calls start at a fixed rate, whether or not earlier ones have ended. If this task is late, it catches up.
    let mut ticks = tokio::time::interval(shortened(Duration::from_secs(1)) / RATE);
    ticks.tick().await; // the first one comes at once
    for (stage, name) in STAGES.iter().enumerate() {
        ledger.begin_stage();
        report::stage(clock.now(), name);
        match stage {
            QUARTER => breaker.set_enforcement(0.25)?,
            ALL => breaker.set_enforcement(1.0)?,
            OTHER_THRESHOLD => file.write(&SETTINGS.replace("0.25", "0.5"))?,
            _ => {}
        }
        for (number, (mode, seconds)) in WEATHER.into_iter().enumerate() {
            dependency.enter(mode);
            report::weather(clock.now(), mode);
            if stage == ALL && number == WEATHER.len() - 1 {
                file.write(&SETTINGS.replace("0.25", "50"))?;
            }
            for _ in 0..seconds * RATE {
                load.call();
                ticks.tick().await;
            }
        }
    }
    let seen = load.finish().await;
    follower.abort();
    Ok(Run {
        pages: ledger.read(),
        seen,
        mistakes: mistakes.load(Ordering::Relaxed),
        last_state: breaker.state(),
    })
}
