//! What a fleet logs. In a program of its own, because a log is chosen for all threads.
#![cfg(feature = "tracing")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use tower_breaker_fleet::{Fleet, MemoryStore};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_log_says_once_that_the_store_is_lost_and_once_that_it_is_back() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .without_time()
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            let link = store.link();
            let _fleet = Fleet::builder("test", store).spawn().unwrap();
            sleep(5 * SECOND).await;
            for _ in 0..2 {
                link.set_up(false);
                sleep(600 * SECOND).await;
                link.set_up(true);
                sleep(60 * SECOND).await;
            }
        });
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let count = |text: &str| log.matches(text).count();
    assert_eq!(
        count("WARN tower_breaker_fleet: fleet test: the store cannot be reached"),
        2,
        "{log}"
    );
    assert_eq!(count("INFO tower_breaker_fleet: fleet test: connected, 1 instances"), 3, "{log}");
}
