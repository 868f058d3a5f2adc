//! Takes the pictures of the README: the page of `examples/admin.rs`, light and dark.
//!
//! ```sh
//! cargo run --manifest-path browser/Cargo.toml --bin pictures
//! ```
//!
//! It takes a minute, because the outages of the example need time to become visible.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::sleep;
use tower_breaker_browser::Browser;

#[tokio::main]
async fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut example = Command::new("cargo")
        .args(["run", "--all-features", "--example", "admin", "--", "--seconds", "300"])
        .current_dir(&root)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("cargo is there");
    let mut lines = BufReader::new(example.stdout.take().expect("it is piped")).lines();
    let address = loop {
        let line = lines.next_line().await.expect("it is text").expect("the example has started");
        if line.starts_with("http://") {
            break line;
        }
    };
    // It stops if nobody reads what it logs.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

    let browser = Browser::start_with(1280, 720).await;
    browser.hide_scrollbars().await;
    browser.client.goto(&address).await.expect("the page is there");
    sleep(Duration::from_secs(50)).await;
    // In the first half of each minute `payments` is down.
    browser.wait_until("[...document.querySelectorAll('tr.open')].some((row) => row.innerText.includes('payments'))").await;
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        sleep(Duration::from_secs(1)).await;
        let png = browser.client.screenshot().await.expect("the page can be drawn");
        std::fs::write(root.join(format!("pictures/admin-{scheme}.png")), png)
            .expect("it can be written");
    }
    browser.quit().await;
    example.kill().await.expect("it was running");
}
