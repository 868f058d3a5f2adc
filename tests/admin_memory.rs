//! What the operator's interface takes of memory while it is used. This is a test binary of its own, because the
//! circuits of other tests would be used here.
#![cfg(all(feature = "admin", feature = "keyed"))]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use allocation_counter::measure;
use axum::body::{Body, to_bytes};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;
use tower::ServiceExt;
use tower_breaker::CircuitBreaker;
use tower_breaker::admin::{AdminBody, AdminService};
use tower_breaker::keyed::CircuitBreakerRegistry;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: u64 = 3600;

async fn get(admin: &AdminService, path: &str) -> Response<AdminBody> {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = admin.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response
}

/// Does what the page does, and what dependencies do meanwhile.
struct Use {
    admin: AdminService,
    payments: CircuitBreaker,
    hosts: CircuitBreakerRegistry<u64>,
    second: u64,
}

impl Use {
    fn new() -> Self {
        let payments = CircuitBreaker::builder("payments")
            .consecutive_failures(2)
            .open_duration(SECOND)
            .build()
            .unwrap();
        let template = CircuitBreaker::builder("host").consecutive_failures(1);
        let hosts = CircuitBreakerRegistry::builder(template).capacity(20).build().unwrap();
        let admin = AdminService::new().breaker(&payments).registry(&hosts).operations(true);
        Self { admin, payments, hosts, second: 0 }
    }

    async fn go_on(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            // It opens and closes again, and rejects calls meanwhile.
            for _ in 0..20 {
                if let Ok(permit) = self.payments.try_acquire() {
                    match self.second % 10 {
                        0..5 => {
                            permit.describe_failure(format_args!("failure {}", self.second));
                            permit.failure();
                        }
                        _ => permit.success(),
                    }
                }
            }
            // Each second ten new hosts replace those that nobody calls any more.
            for host in 10 * self.second..10 * (self.second + 1) {
                self.hosts.try_acquire(&host).unwrap().success();
            }
            let paths = ["/", "/?circuit=1", "/api/circuits?limit=50", "/api/circuits/1"];
            let response = get(&self.admin, paths[self.second as usize % paths.len()]).await;
            to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap();
            sleep(SECOND).await;
        }
    }
}

/// Uses the page for this time. Returns the smallest and the largest number of bytes that are in use after a second of
/// it, more than at the beginning.
fn in_use(runtime: &Runtime, used: &mut Use, seconds: u64, bytes: &mut i64) -> (i64, i64) {
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for _ in 0..seconds {
        // On this thread, which is the only one of the runtime.
        *bytes += measure(|| runtime.block_on(used.go_on(1))).bytes_current;
        (least, most) = (least.min(*bytes), most.max(*bytes));
    }
    (least, most)
}

#[test]
fn memory_is_flat_over_an_hour_with_the_page_open() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut used = Use::new();
    let admin = used.admin.clone();
    let followed = Arc::new(AtomicU64::new(0));
    let counter = followed.clone();
    let reader = runtime.spawn(async move {
        let mut stream = get(&admin, "/api/events").await.into_body();
        while let Some(frame) = stream.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(!data.starts_with(b"event: lagged"));
            counter.fetch_add(data.starts_with(b"event: transition").into(), Ordering::Relaxed);
        }
    });
    let mut bytes = 0;
    // The numbers of circuits that are gone are forgotten a thousand at a time, so memory goes up and down.
    in_use(&runtime, &mut used, 600, &mut bytes);
    let first = in_use(&runtime, &mut used, HOUR / 2, &mut bytes);
    let second = in_use(&runtime, &mut used, HOUR / 2, &mut bytes);
    println!("least and most bytes in use: {first:?} in half an hour, {second:?} in the next");
    assert!(!reader.is_finished());
    let followed = followed.load(Ordering::Relaxed);
    assert!(followed > 1000, "the stream was read: {followed} transitions");
    // 18,000 hosts come and go in half an hour, so a single byte for each would be too much.
    assert!((second.0 - first.0).abs() < 10_000, "{first:?}, {second:?}");
    assert!((second.1 - first.1).abs() < 10_000, "{first:?}, {second:?}");
}
