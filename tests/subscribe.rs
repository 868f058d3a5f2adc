//! `subscribe` returns a stream of transitions, for code that waits for them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use tokio_test::{assert_pending, assert_ready, task};
use tower_breaker::{
    Cause, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Lagged, State, Transition, Transitions,
};

const SECOND: Duration = Duration::from_secs(1);

/// With a paused clock, a test that waits for ever fails at once.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Trips at the first failure, is open for a second, closes after one successful probe.
fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
        .consecutive_failures(1)
        .open_duration(SECOND)
        .half_open(HalfOpen::consecutive_successes(1))
}

fn breaker() -> CircuitBreaker {
    sensitive().build().unwrap()
}

async fn next(transitions: &mut Transitions) -> Transition {
    let next = timeout(DAY, transitions.next()).await.expect("it never comes");
    next.expect("the breaker lives").expect("none was missed")
}

/// Returns the transitions that can be received without waiting, up to the first that was missed.
fn all_that_is_there(transitions: &mut Transitions) -> Vec<Transition> {
    let mut there = Vec::new();
    while let Poll::Ready(Some(Ok(transition))) = task::spawn(transitions.next()).poll() {
        there.push(transition);
    }
    there
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_receives_every_transition_in_order_without_any_listener() {
    let breaker = breaker();
    let mut transitions = breaker.subscribe();
    breaker.try_acquire().unwrap().failure();
    tokio::time::advance(SECOND).await;
    breaker.try_acquire().unwrap().success();
    let mut seen = Vec::new();
    for (to, cause) in [
        (State::Open, Cause::ConsecutiveFailures { failures: 1 }),
        (State::HalfOpen, Cause::WaitOver),
        (State::Closed, Cause::ProbesSucceeded),
    ] {
        let transition = next(&mut transitions).await;
        assert_eq!((transition.to(), transition.cause()), (to, cause));
        assert_eq!(transition.breaker(), "test");
        seen.push(transition);
    }
    assert_eq!(seen, breaker.history());
    assert_pending!(task::spawn(transitions.next()).poll());
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_receives_no_transition_from_before_it_subscribed() {
    let breaker = breaker();
    let mut early = breaker.subscribe();
    breaker.trip();
    let mut late = breaker.subscribe();
    breaker.reset();
    assert_eq!(all_that_is_there(&mut early).len(), 2);
    assert_eq!(next(&mut late).await.to(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_test_or_a_balancer_waits_until_the_circuit_is_closed_again() {
    let breaker = breaker();
    let mut transitions = breaker.subscribe();
    breaker.try_acquire().unwrap().failure();
    let caller = {
        let breaker = breaker.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SECOND / 10).await;
                let _ = breaker.try_acquire().map(|call| call.success());
            }
        })
    };
    let closed_again = async { while next(&mut transitions).await.to() != State::Closed {} };
    timeout(DAY, closed_again).await.expect("it recovers");
    assert_eq!(breaker.state(), State::Closed);
    caller.abort();
}

#[tokio::test(start_paused = true)]
async fn a_waiting_subscriber_is_woken_by_a_transition() {
    let breaker = breaker();
    let mut transitions = breaker.subscribe();
    let mut next = task::spawn(transitions.next());
    assert_pending!(next.poll());
    breaker.try_acquire().unwrap().success();
    assert!(!next.is_woken());
    breaker.trip();
    assert!(next.is_woken());
    assert_eq!(assert_ready!(next.poll()).unwrap().unwrap().cause(), Cause::Trip);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_learns_how_many_transitions_it_missed_and_continues_with_the_oldest_kept()
 {
    let breaker = breaker();
    let mut slow = breaker.subscribe();
    let mut in_time = breaker.subscribe();
    let mut all = Vec::new();
    for _ in 0..10 {
        breaker.trip();
        breaker.reset();
        all.extend(all_that_is_there(&mut in_time));
    }
    assert_eq!(all.len(), 20);
    let lagged = slow.next().await.unwrap().unwrap_err();
    assert_eq!(lagged.missed(), 4);
    assert_eq!(lagged.to_string(), "missed 4 transitions");
    assert_eq!(all_that_is_there(&mut slow), all[4..]);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_may_be_sixteen_transitions_behind() {
    let breaker = breaker();
    let mut transitions = breaker.subscribe();
    for _ in 0..8 {
        breaker.trip();
        breaker.reset();
    }
    assert_eq!(all_that_is_there(&mut transitions).len(), 16);
}

#[test]
fn a_subscriber_that_never_looks_blocks_nobody() {
    let breaker = breaker();
    let mut transitions = breaker.subscribe();
    for _ in 0..10_000 {
        breaker.trip();
        breaker.reset();
    }
    let missed = task::spawn(transitions.next()).poll();
    let Poll::Ready(Some(Err(lagged))) = missed else { panic!("{missed:?}") };
    assert_eq!(lagged.missed(), 20_000 - 16);
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_after_the_last_transition_once_the_breaker_has_been_dropped() {
    let breaker = breaker();
    let (mut reading, mut waiting) = (breaker.subscribe(), breaker.subscribe());
    let permit = breaker.try_acquire().unwrap();
    let clone = breaker.clone();
    breaker.trip();
    let mut end = task::spawn(async { while waiting.next().await.is_some() {} });
    assert_pending!(end.poll());
    drop(breaker);
    assert_pending!(end.poll());
    drop(clone);
    assert!(end.is_woken());
    assert_ready!(end.poll());
    assert_eq!(next(&mut reading).await.to(), State::Open);
    for _ in 0..3 {
        assert_eq!(reading.next().await, None);
    }
    permit.success();
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_does_not_keep_the_breaker_alive() {
    let owned = Arc::new(());
    let kept = owned.clone();
    let breaker = sensitive().on_transition(move |_| drop(kept.clone())).build().unwrap();
    let _transitions = breaker.subscribe();
    drop(breaker);
    assert_eq!(Arc::strong_count(&owned), 1);
}

#[tokio::test(start_paused = true)]
async fn it_works_with_stream_combinators() {
    let breaker = breaker();
    let transitions = breaker.subscribe();
    breaker.trip();
    breaker.reset();
    breaker.trip();
    drop(breaker);
    let opened = transitions
        .filter_map(|transition| std::future::ready(transition.ok()))
        .filter(|transition| std::future::ready(transition.to() == State::Open));
    assert_eq!(opened.count().await, 2);
}

#[tokio::test(start_paused = true)]
async fn streams_of_several_breakers_can_be_merged() {
    let (one, two) = (breaker(), CircuitBreaker::new("other"));
    let both = futures_util::stream::select(one.subscribe(), two.subscribe());
    two.trip();
    one.trip();
    drop((one, two));
    let mut names: Vec<String> =
        both.map(|transition| transition.unwrap().breaker().to_owned()).collect().await;
    names.sort();
    assert_eq!(names, ["other", "test"]);
}

#[test]
fn the_types_are_send_and_static() {
    fn goes_anywhere<T: Stream + Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    goes_anywhere::<Transitions>();
    fn is_an_error<T: std::error::Error + Send + Sync + Copy + Eq + 'static>() {}
    is_an_error::<Lagged>();
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_misses_no_transition() {
    let breaker = breaker();
    let mut transitions = breaker.subscribe();
    for _ in 0..3 {
        assert_pending!(task::spawn(transitions.next()).poll());
        assert!(timeout(SECOND, transitions.next()).await.is_err());
    }
    // The future is dropped after it has been woken and before it is polled.
    let mut woken = task::spawn(transitions.next());
    assert_pending!(woken.poll());
    breaker.trip();
    assert!(woken.is_woken());
    drop(woken);
    breaker.reset();
    assert_eq!(next(&mut transitions).await.to(), State::Open);
    assert_eq!(next(&mut transitions).await.to(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn many_subscribers_receive_the_same_transitions() {
    let breaker = breaker();
    let mut subscribers: Vec<Transitions> = (0..1000).map(|_| breaker.subscribe()).collect();
    subscribers.truncate(500);
    let waiting: Vec<_> = subscribers
        .into_iter()
        .map(|mut transitions| {
            tokio::spawn(
                async move { [next(&mut transitions).await, next(&mut transitions).await] },
            )
        })
        .collect();
    tokio::task::yield_now().await; // they wait
    breaker.trip();
    breaker.reset();
    for subscriber in waiting {
        assert_eq!(subscriber.await.unwrap().to_vec(), breaker.history());
    }
}

#[test]
fn transitions_of_many_threads_arrive_in_order() {
    let breaker = breaker();
    let mut transitions = breaker.subscribe();
    let reader = thread::spawn(move || {
        let mut state = Some(State::Closed);
        tokio_test::block_on(async {
            while let Some(received) = transitions.next().await {
                state = match received {
                    // After transitions were missed, the state is not known.
                    Err(_) => None,
                    Ok(transition) => {
                        assert!(state.is_none_or(|state| state == transition.from()));
                        Some(transition.to())
                    }
                };
            }
        });
        state
    });
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    breaker.trip();
                    breaker.reset();
                }
            });
        }
    });
    let last = breaker.state();
    drop(breaker);
    assert_eq!(reader.join().unwrap(), Some(last));
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_does_not_keep_other_subscribers_asleep() {
    let breaker = breaker();
    let panicking = Waker::from(Arc::new(Panicking));
    let [mut before, mut bad, mut after] = [(); 3].map(|()| breaker.subscribe());
    let mut before = task::spawn(before.next());
    assert_pending!(before.poll());
    let mut bad = pin!(bad.next());
    assert_pending!(bad.as_mut().poll(&mut Context::from_waker(&panicking)));
    let mut after = task::spawn(after.next());
    assert_pending!(after.poll());

    breaker.trip();

    assert_eq!(breaker.state(), State::Open);
    assert!(before.is_woken());
    assert!(after.is_woken());
    assert_ready!(after.poll());
    assert!(bad.as_mut().poll(&mut Context::from_waker(&panicking)).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_when_the_breaker_is_dropped_does_not_keep_other_subscribers_asleep() {
    let breaker = breaker();
    let panicking = Waker::from(Arc::new(Panicking));
    let (mut bad, mut after) = (breaker.subscribe(), breaker.subscribe());
    let mut bad = pin!(bad.next());
    assert_pending!(bad.as_mut().poll(&mut Context::from_waker(&panicking)));
    let mut after = task::spawn(after.next());
    assert_pending!(after.poll());
    drop(breaker);
    assert!(after.is_woken());
    assert!(assert_ready!(after.poll()).is_none());
}

/// A waker that uses the breaker.
struct Using(CircuitBreaker);

impl Wake for Using {
    fn wake(self: Arc<Self>) {
        self.0.reset();
        drop(self.0.try_acquire());
        let _ = (self.0.history(), self.0.subscribe());
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_may_use_the_breaker() {
    let breaker = breaker();
    let mut transitions = breaker.subscribe();
    let waker = Waker::from(Arc::new(Using(breaker.clone())));
    {
        let mut next = pin!(transitions.next());
        assert_pending!(next.as_mut().poll(&mut Context::from_waker(&waker)));
    }
    breaker.trip();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(next(&mut transitions).await.to(), State::Open);
    assert_eq!(next(&mut transitions).await.to(), State::Closed);
}
