//! What breakers log through `tracing`.
#![cfg(feature = "tracing")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tokio::time::advance;
use tower_breaker::{
    Backoff, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Operator, OperatorAction,
    SlidingWindow,
};
use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::format::FmtSpan;

const SECOND: Duration = Duration::from_secs(1);

/// The log of this thread.
struct Log {
    written: Written,
    _subscriber: DefaultGuard,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn new(level: Level) -> Self {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_span_events(FmtSpan::CLOSE)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        Self { written, _subscriber: tracing::subscriber::set_default(subscriber) }
    }

    /// Takes the lines.
    fn lines(&self) -> Vec<String> {
        let written = std::mem::take(&mut *self.written.0.lock().unwrap());
        String::from_utf8(written).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }
}

fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("payments")
        .consecutive_failures(1)
        .open_duration(Backoff::exponential(SECOND, SECOND * 60).jitter(0.0))
        .half_open(HalfOpen::consecutive_successes(1))
}

#[tokio::test(start_paused = true)]
async fn opening_is_logged_at_warn_and_every_other_transition_at_info() {
    let log = Log::new(Level::INFO);
    let breaker = sensitive().build().unwrap();
    breaker.try_acquire().unwrap().failure();
    assert_eq!(
        log.lines(),
        ["WARN tower_breaker: payments: closed -> open (1 failure in a row), next probe in 1.0s \
             breaker=\"payments\" from=\"closed\" to=\"open\" cause=\"consecutive_failures\" failures=1 \
             attempt=1 wait_seconds=1.0"]
    );
    advance(SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    assert_eq!(
        log.lines(),
        ["INFO tower_breaker: payments: open -> half-open (the wait is over) \
             breaker=\"payments\" from=\"open\" to=\"half_open\" cause=\"wait_over\""]
    );
    probe.failure();
    let lines = log.lines();
    assert!(lines[0].starts_with("WARN") && lines[0].ends_with("attempt=2 wait_seconds=2.0"));
    breaker.reset();
    assert!(log.lines()[0].starts_with("INFO"));
}

#[tokio::test(start_paused = true)]
async fn what_operators_do_is_logged_at_info_even_if_it_has_no_effect() {
    let log = Log::new(Level::INFO);
    let breaker = sensitive().build().unwrap();
    breaker.force_closed();
    assert_eq!(
        log.lines(),
        ["INFO tower_breaker: payments: force_closed breaker=\"payments\" action=\"force_closed\""]
    );
    breaker.resume();
    breaker.trip();
    breaker.trip();
    let actions = log.lines();
    let actions = actions.iter().filter_map(|line| line.split_once("action=")).map(|(_, a)| a);
    assert_eq!(actions.collect::<Vec<_>>(), ["\"resume\"", "\"trip\"", "\"trip\""]);
}

#[tokio::test(start_paused = true)]
async fn who_operated_and_why_is_logged_on_one_line() {
    let log = Log::new(Level::INFO);
    let breaker = sensitive().build().unwrap();
    let operator = Operator::new("alice", "maintenance\nFAKE");
    breaker.operate(OperatorAction::ForceClosed, operator).unwrap();
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["by alice (maintenance\\nFAKE)", "actor=\"alice\"", "action=\"force_closed\""] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_logged_with_its_counts() {
    let log = Log::new(Level::WARN);
    let builder = sensitive()
        .consecutive_failures(100)
        .minimum_calls(4)
        .slow_call_duration_threshold(SECOND)
        .sliding_window(SlidingWindow::count(4));
    let failing = builder.clone().failure_rate_threshold(0.75).build().unwrap();
    failing.try_acquire().unwrap().success();
    (0..3).for_each(|_| failing.try_acquire().unwrap().failure());
    assert!(log.lines()[0].contains(" cause=\"failure_rate\" failures=3 calls=4 rate=0.75 "));

    let slow = builder.slow_call_rate_threshold(0.5).build().unwrap();
    let permits = [(); 4].map(|()| slow.try_acquire().unwrap());
    advance(SECOND).await;
    permits.into_iter().for_each(tower_breaker::Permit::success);
    assert!(log.lines()[0].contains(" cause=\"slow_call_rate\" slow_calls=4 calls=4 rate=1.0 "));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_logged_at_debug_and_a_healthy_call_is_not_logged() {
    let log = Log::new(Level::TRACE);
    let breaker = sensitive().build().unwrap();
    breaker.try_acquire().unwrap().success();
    assert!(log.lines().is_empty());
    breaker.trip();
    log.lines();
    breaker.try_acquire().unwrap_err();
    assert_eq!(
        log.lines(),
        ["DEBUG tower_breaker: the circuit is open breaker=\"payments\" reason=\"open\" \
             retry_after_seconds=1.0"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_call_says_whether_it_was_rejected_or_a_probe() {
    let log = Log::new(Level::INFO);
    let breaker = sensitive().build().unwrap();
    let span = || {
        tracing::info_span!(
            "call",
            circuit_breaker.rejected = tracing::field::Empty,
            circuit_breaker.probe = tracing::field::Empty,
        )
    };
    let close = |log: &Log| log.lines().pop().unwrap();

    span().in_scope(|| breaker.try_acquire().unwrap().success());
    assert!(!close(&log).contains("circuit_breaker"));
    breaker.trip();
    span().in_scope(|| breaker.try_acquire().unwrap_err());
    assert!(close(&log).contains("call{circuit_breaker.rejected=true}"));
    advance(SECOND).await;
    span().in_scope(|| breaker.try_acquire().unwrap().success());
    assert!(close(&log).contains("call{circuit_breaker.probe=true}"));
}

/// Keeps the fields of events as they are, without the quotes and escapes of `fmt`.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Fields {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl tracing::field::Visit for Fields {
    fn record_str(&mut self, _: &tracing::field::Field, value: &str) {
        self.0.lock().unwrap().push(value.to_owned());
    }

    fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push(format!("{value:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hostile_name_is_escaped_in_the_message_and_in_the_fields() {
    use tracing_subscriber::layer::SubscriberExt;
    let fields = Fields::default();
    let subscriber = tracing_subscriber::registry().with(fields.clone());
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let breaker = CircuitBreaker::new("a\nb\u{1b}[2J\u{202e}");
    breaker.trip();
    breaker.try_acquire().unwrap_err();
    breaker.reset();
    let fields = fields.0.lock().unwrap();
    let shown = "a\\nb\\u{1b}[2J\\u{202e}";
    assert_eq!(fields.iter().filter(|field| *field == shown).count(), 5, "{fields:?}");
    let message = format!("{shown}: open -> closed (reset)");
    assert!(fields.contains(&message), "{fields:?}");
    for field in fields.iter() {
        assert!(!field.contains(['\n', '\u{1b}', '\u{202e}']), "{field:?}");
    }
}

/// A subscriber that panics at each event. It counts the events.
struct Panics(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Panics {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_panics_fails_no_call_and_receives_the_next_event() {
    use tracing_subscriber::layer::SubscriberExt;
    let events = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Panics(events.clone()));
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let breaker = sensitive().build().unwrap();
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire().unwrap_err();
    breaker.reset();
    assert_eq!(events.load(Ordering::Relaxed), 4); // one of them for the operator's action
}

#[test]
fn events_that_are_dropped_because_of_a_slow_listener_are_logged_at_warn() {
    let log = Log::new(Level::WARN);
    let (is_reporting, reports) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let breaker = sensitive()
        .on_transition(move |_| {
            is_reporting.send(()).unwrap();
            let _ = may_go_on.lock().unwrap().recv(); // an error means that it may go on for good
        })
        .build()
        .unwrap();
    let other = breaker.clone();
    // Only events that this thread reports appear in its log.
    let meanwhile = thread::spawn(move || {
        reports.recv().unwrap();
        (0..100).for_each(|_| other.resume()); // without effect
        drop(go_on);
        reports
    });
    breaker.trip();
    meanwhile.join().unwrap();
    let lines = log.lines();
    assert_eq!(
        lines[1],
        "WARN tower_breaker: payments: missed 36 events breaker=\"payments\" missed=36"
    );
    assert_eq!(lines.len(), 2);
}

#[cfg(feature = "keyed")]
#[tokio::test(start_paused = true)]
async fn a_full_registry_is_a_warning_once_a_minute() {
    let log = Log::new(Level::WARN);
    let circuits = tower_breaker::keyed::CircuitBreakerRegistry::builder(sensitive())
        .capacity(1)
        .build()
        .unwrap();
    let held = circuits.get_or_create(&0);
    let line = |calls| {
        format!(
            "WARN tower_breaker: payments: the registry is full (capacity 1): {calls} went through \
             circuits that are not kept breaker=\"payments\" capacity=1 unkept_calls="
        )
    };
    (1..5).for_each(|key| drop(circuits.get_or_create(&key)));
    assert_eq!(log.lines(), [line("1 call") + "1"]);
    advance(SECOND * 60).await;
    (1..5).for_each(|key| drop(circuits.get_or_create(&key)));
    assert_eq!(log.lines(), [line("4 calls") + "4"]);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn the_line_of_the_transition_says_which_failure_opened_the_circuit() {
    let log = Log::new(Level::INFO);
    let breaker = sensitive().build().unwrap();
    let permit = breaker.try_acquire().unwrap();
    permit.describe_failure("connection refused\nFAKE");
    permit.failure();
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let text = "connection refused\\nFAKE";
    assert!(lines[0].contains(&format!("next probe in 1.0s, last failure: {text} ")), "{lines:?}");
    assert!(lines[0].contains(" last_failure=\"connection refused\\\\nFAKE\""), "{lines:?}");
}
