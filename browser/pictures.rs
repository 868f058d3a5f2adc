//! Takes the pictures of the README, light and dark: the page of `examples/admin.rs`, and the pages of
//! `tower-breaker-tune` about a recorded outage.
//!
//! ```sh
//! cargo run --manifest-path browser/Cargo.toml --bin pictures            # all
//! cargo run --manifest-path browser/Cargo.toml --bin pictures -- tune    # those of the tuner
//! ```
//!
//! The page of the example takes a minute, because its outages need time to become visible.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::sleep;
use tower_breaker_browser::Browser;

#[tokio::main]
async fn main() {
    let what = std::env::args().nth(1);
    let is_wanted = |name| what.as_deref().is_none_or(|what| what == name);
    if is_wanted("admin") {
        admin().await;
    }
    if is_wanted("tune") {
        tune().await;
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn admin() {
    let mut example = Command::new("cargo")
        .args(["run", "--all-features", "--example", "admin", "--", "--seconds", "300"])
        .current_dir(root())
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
    take(&browser, "admin").await;
    browser.quit().await;
    example.kill().await.expect("it was running");
}

/// The page of a sweep over a recorded outage.
async fn tune() {
    let settings = std::env::temp_dir().join(format!("settings-{}.toml", std::process::id()));
    let page = settings.with_extension("html");
    std::fs::write(&settings, "open_duration = \"500ms\"\n").expect("it can be written");
    let sweep = "sweep traces/outage.csv --vary consecutive_failures=3,5,10,20 \
                 --vary failure_rate_threshold=0.2,0.3,0.5,0.8 --vary minimum_calls=10,20,50 \
                 --vary sliding_window.time=2s,5s,10s --vary open_duration=250ms,500ms,1s";
    let mut arguments = sweep.split_whitespace();
    let status = Command::new("cargo")
        .args(["run", "--package", "tower-breaker-tune", "--"])
        .args(arguments.by_ref().take(1))
        .arg(&settings)
        .args(arguments)
        .arg("--html")
        .arg(&page)
        .current_dir(root().join("tune"))
        .status();
    assert!(status.await.expect("cargo is there").success());

    let browser = Browser::start_with(1280, 720).await;
    browser.hide_scrollbars().await;
    browser.client.goto(&format!("file://{}", page.display())).await.expect("the page is there");
    // The page begins with the trade-off. What the chosen settings would have done comes after it.
    take(&browser, "sweep").await;
    browser.run("[...document.querySelectorAll('h2')].at(-2).scrollIntoView()").await;
    take(&browser, "outage").await;
    browser.quit().await;
    for file in [settings, page] {
        std::fs::remove_file(file).expect("it was written");
    }
}

async fn take(browser: &Browser, name: &str) {
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        sleep(Duration::from_secs(1)).await;
        let png = browser.client.screenshot().await.expect("the page can be drawn");
        std::fs::write(root().join(format!("pictures/{name}-{scheme}.png")), png)
            .expect("it can be written");
    }
}
