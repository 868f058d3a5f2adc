//! What a saved state looks like in a file.

use std::time::Duration;

use serde_json::{Value, from_value, json, to_value};
use tower_breaker::{Backoff, CircuitBreaker, Saved, State};

use crate::{MS, SECOND, default};

fn read(value: Value) -> Result<Saved, String> {
    from_value(value).map_err(|error| error.to_string())
}

fn open() -> CircuitBreaker {
    let breaker = default().open_duration(Backoff::constant(4200 * MS)).build().unwrap();
    breaker.trip();
    breaker
}

#[tokio::test(start_paused = true)]
async fn a_saved_state_is_written_as_people_would_write_it_and_reads_back() {
    let breaker = open();
    let saved = breaker.save();
    let written = json!({ "state": "open", "wait": "4s 200ms", "attempt": 1 });
    assert_eq!(to_value(saved).unwrap(), written);
    assert_eq!(read(written).unwrap(), saved);
    let aged = saved.aged(SECOND);
    let written = json!({ "state": "open", "wait": "3s 200ms", "attempt": 1, "age": "1s" });
    assert_eq!(to_value(aged).unwrap(), written);
    assert_eq!(read(written).unwrap(), aged);

    tokio::time::advance(5 * SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    let written = json!({ "state": "half_open", "attempt": 1 });
    assert_eq!(to_value(breaker.save()).unwrap(), written);
    probe.success();
    breaker.reset();
    assert_eq!(to_value(breaker.save()).unwrap(), json!({ "state": "closed" }));

    let toml = toml::to_string(&saved).unwrap();
    assert_eq!(toml, "state = \"open\"\nwait = \"4s 200ms\"\nattempt = 1\n");
    assert_eq!(toml::from_str::<Saved>(&toml).unwrap(), saved);
    let yaml = serde_norway::to_string(&saved).unwrap();
    assert_eq!(serde_norway::from_str::<Saved>(&yaml).unwrap(), saved);
}

#[test]
fn the_state_alone_is_enough() {
    for state in [State::Closed, State::Open, State::HalfOpen] {
        let saved = read(json!({ "state": state })).unwrap();
        assert_eq!((saved.state(), saved.wait(), saved.attempt()), (state, Duration::ZERO, 0));
        default().primed(&saved).build().unwrap();
    }
}

#[test]
fn a_corrupt_or_absurd_value_is_an_error_that_says_what_is_allowed() {
    let refused = |value: Value, reason: &str| {
        let error = read(value).unwrap_err();
        assert!(error.contains(reason), "{error}");
    };
    refused(json!({}), "invalid `state`: none (allowed: `closed`, `open` or `half_open`)");
    refused(
        json!({ "state": "half-open" }),
        "expected `closed`, `open` or `half_open` for `state`",
    );
    refused(json!({ "state": null }), "for `state`");
    refused(json!({ "state": "open", "wait": 3 }), "expected a duration with its unit");
    refused(json!({ "state": "open", "wait": "-3s" }), "expected a duration with its unit");
    refused(
        json!({ "state": "open", "wait": "366 days" }),
        "invalid `wait`: 31622400s (allowed: at most 365 days)",
    );
    refused(
        json!({ "state": "half_open", "wait": "3s" }),
        "invalid `wait`: 3s while half-open (allowed: a wait only of an open circuit)",
    );
    refused(json!({ "state": "open", "attempt": -1 }), "expected a whole number");
    refused(json!({ "state": "open", "attempt": 1.5 }), "expected a whole number");
    refused(json!({ "state": "open", "attempt": 5_000_000_000_u64 }), "expected a whole number");
    refused(json!({ "state": "open", "age": "later" }), "expected a duration with its unit");
    refused(json!({ "state": "open", "ticket": 7 }), "unknown field `ticket`");
    refused(json!({ "state": "open", "a\nb": 7 }), "unknown field `a\\nb`");
    refused(json!([]), "expected a saved state");
    for text in
        ["", "{", "{\"state\":\"open\"", "\0\u{1}", "{\"state\":\"open\",\"state\":\"open\"}"]
    {
        serde_json::from_str::<Saved>(text).unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn any_state_that_can_be_saved_can_be_read() {
    for wait in [MS, SECOND, 1_000_000_000 * SECOND, Duration::MAX] {
        let breaker = default().open_duration(Backoff::constant(wait).jitter(0.0)).build().unwrap();
        breaker.trip();
        let saved = breaker.save().aged(Duration::from_nanos(1));
        assert_eq!(read(to_value(saved).unwrap()).unwrap(), saved);
    }
}
