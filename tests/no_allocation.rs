//! No call allocates, whether it succeeds, fails, is rejected or is a probe.

use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower::{Layer, Service, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, Event, HalfOpen, Interest,
    Listener, SlidingWindow, State,
};

type Answer = Result<u32, u32>;

/// Makes one call through the service and returns its result.
fn call<S: Service<Answer>>(service: &mut S, answer: Answer) -> Result<S::Response, S::Error> {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    match pin!(service.call(answer)).poll(&mut cx) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("the inner service answers at once"),
    }
}

fn behind(breaker: &CircuitBreaker) -> impl Service<Answer, Response = u32> + Clone {
    let inner: fn(Answer) -> Ready<Answer> = ready;
    CircuitBreakerLayer::new(breaker.clone()).layer(service_fn(inner))
}

fn every_kind_of_window() -> Vec<CircuitBreakerBuilder> {
    let builder = || {
        CircuitBreaker::builder("kinds")
            .open_duration(Duration::from_nanos(1))
            .half_open(HalfOpen::consecutive_successes(3))
    };
    vec![
        builder().consecutive_failures(100),
        builder().failure_rate_threshold(1.0).sliding_window(SlidingWindow::count(100)),
        builder().failure_rate_threshold(1.0),
        builder()
            .failure_rate_threshold(1.0)
            .slow_call_duration_threshold(Duration::from_secs(3600))
            .slow_call_rate_threshold(1.0)
            .sliding_window(SlidingWindow::time(Duration::from_millis(10))),
    ]
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(Box::new(1))).count_total, 1);
}

#[test]
fn no_kind_of_call_allocates() {
    for builder in every_kind_of_window() {
        let breaker = builder.build().unwrap();
        let mut service = behind(&breaker);
        // The first call of a thread sets up its stripe.
        let _ = call(&mut service, Ok(0));

        let none_in = |what: &str, action: &mut dyn FnMut()| {
            let made = allocation_counter::measure(action);
            assert_eq!(made.count_total, 0, "{what} of {breaker:?}");
        };
        none_in("closed calls, some of which fail", &mut || {
            for n in 0..1000 {
                let answer = if n % 3 == 0 { Err(n) } else { Ok(n) };
                assert_eq!(call(&mut service, answer).is_ok(), answer.is_ok());
            }
        });
        none_in("clones of the service", &mut || drop(service.clone()));
        none_in("dropped permits", &mut || drop(breaker.try_acquire()));
        breaker.force_open();
        none_in("rejections", &mut || {
            for _ in 0..100 {
                assert!(call(&mut service, Ok(1)).is_err());
                assert!(breaker.try_acquire().is_err());
            }
        });
        breaker.resume();
        none_in("probes that close, trips, and probes that fail", &mut || {
            for _ in 0..10 {
                while breaker.state() != State::Closed {
                    assert!(call(&mut service, Ok(1)).is_ok());
                }
                breaker.trip();
                while breaker.try_acquire().map(|probe| probe.failure()).is_err() {}
                assert_eq!(breaker.state(), State::Open);
                while breaker.try_acquire().map(|probe| probe.success()).is_err() {}
            }
        });
    }
}

#[test]
fn only_the_first_transition_allocates_with_or_without_listeners() {
    let builder = || CircuitBreaker::builder("transitions").open_duration(Duration::from_nanos(1));
    let plain = builder().build().unwrap();
    let listened = builder().on_transition(|_| ()).on_event(|_| ()).build().unwrap();
    let subscribed = builder().build().unwrap();
    let _subscriber = subscribed.subscribe();
    for breaker in [plain, listened, subscribed] {
        let some = || {
            breaker.trip();
            while breaker.try_acquire().map(|probe| probe.failure()).is_err() {}
            breaker.reset();
        };
        some();
        let made = allocation_counter::measure(|| (0..100).for_each(|_| some()));
        assert_eq!(made.count_total, 0, "{breaker:?}");
        assert_eq!(breaker.history().len(), 8);
    }
}

#[test]
fn a_call_that_is_observed_does_not_allocate() {
    let breaker = CircuitBreaker::builder("observed").on_event(|_| ()).build().unwrap();
    let mut service = behind(&breaker);
    // The first call of a thread sets up what it needs to read the listeners.
    let _ = call(&mut service, Ok(0));
    let made = allocation_counter::measure(|| {
        for n in 0..1000 {
            let _ = call(&mut service, if n % 3 == 0 { Err(n) } else { Ok(n) });
        }
    });
    assert_eq!(made.count_total, 0);
}

/// A listener that panics when it is registered.
struct Panicking;

impl Listener for Panicking {
    fn on_event(&self, _: &Event<'_>) {}

    fn interest(&self) -> Interest {
        resume_unwind(Box::new("on purpose"))
    }
}

#[test]
fn a_breaker_whose_listener_panics_when_it_is_built_leaks_nothing() {
    let made = allocation_counter::measure(|| {
        for _ in 0..100 {
            let builder = CircuitBreaker::builder("panicking").listener(Panicking);
            assert!(catch_unwind(AssertUnwindSafe(|| builder.build())).is_err());
        }
    });
    assert_eq!(made.bytes_current, 0);
}

#[test]
fn a_circuit_does_not_grow_and_its_memory_is_reused_by_the_next_one() {
    for builder in every_kind_of_window() {
        let build = || builder.clone().build().unwrap();
        let mut breaker = Some(build());
        let taken = allocation_counter::measure(|| {
            let mut service = behind(breaker.as_ref().unwrap());
            for n in 0..10_000 {
                let _ = call(&mut service, if n % 2 == 0 { Err(n) } else { Ok(n) });
            }
        });
        assert_eq!(taken.bytes_current, 0, "the circuit has grown: {builder:?}");

        // Another test may take the circuit from the pool, but that does not happen every time.
        let rebuilt = (0..100).map(|_| {
            allocation_counter::measure(|| {
                drop(breaker.take());
                breaker = Some(build());
            })
        });
        let least = rebuilt.map(|taken| taken.bytes_current).min();
        assert_eq!(
            least,
            Some(0),
            "a new breaker does not reuse the memory of the old one: {builder:?}"
        );
    }
}

#[cfg(feature = "keyed")]
#[test]
fn the_circuit_of_a_key_is_reused_once_its_last_call_has_ended() {
    use tower_breaker::keyed::CircuitBreakerRegistry;

    let builder = CircuitBreakerRegistry::<u32>::builder(CircuitBreaker::builder("shard"));
    // Another test may take the circuit from the pool, but that does not happen every time.
    let rounds = (0..100).map(|_| {
        allocation_counter::measure(|| {
            let shards = builder.clone().build().unwrap();
            let permit = shards.try_acquire(&7).unwrap();
            drop(shards);
            permit.failure();
        })
    });
    assert_eq!(rounds.map(|round| round.bytes_current).min(), Some(0));
}
