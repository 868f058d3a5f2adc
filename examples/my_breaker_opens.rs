//! Tests the settings of a breaker before an outage does.
//!
//! ```sh
//! cargo run --example my_breaker_opens --features replay        # what the settings do in each scenario
//! cargo test --example my_breaker_opens --features replay       # the tests below
//! ```

use std::error::Error;
use std::time::Duration;

use tower_breaker::replay::{self, Scenario};
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder};

/// The settings that the program builds its breaker from.
fn settings() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("payments").consecutive_failures(8).failure_rate_threshold(0.5)
}

fn main() -> Result<(), Box<dyn Error>> {
    let timeout = Duration::from_secs(1);
    for scenario in [
        Scenario::black_hole(50, timeout),
        Scenario::black_hole(1, timeout),
        Scenario::brown_out(50, 0.3),
        Scenario::one_lost_connection(50, 5),
        Scenario::overload(90, 100, timeout),
    ] {
        println!("{}", replay::run(&settings(), &scenario)?);
        for hint in replay::hints(&settings(), &scenario)? {
            println!("hint: {hint}\n");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tower_breaker::replay::{
        assert_opens_within, assert_recovers_within, assert_sheds_at_most,
    };

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(1);

    /// 50 calls per second, as on a quiet afternoon.
    #[test]
    fn my_breaker_opens_and_recovers() {
        let outage = Scenario::black_hole(50, TIMEOUT);
        assert_opens_within(&settings(), &outage, Duration::from_secs(2));
        assert_recovers_within(&settings(), &outage, Duration::from_secs(60));
    }

    /// One call per second, as at night. The rate is not judged below 20 calls, so it is the failure streak that counts.
    #[test]
    fn my_breaker_opens_at_night() {
        assert_opens_within(&settings(), Scenario::black_hole(1, TIMEOUT), Duration::from_secs(9));
    }

    #[test]
    fn my_breaker_does_not_mind_a_lost_connection() {
        assert_sheds_at_most(&settings(), Scenario::one_lost_connection(50, 5), 0.0);
    }
}
