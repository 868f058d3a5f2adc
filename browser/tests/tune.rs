//! The pages of `tower-breaker-tune`, on a telephone and on a desk.

use std::path::{Path, PathBuf};
use std::process::Command;

use tower_breaker_browser::Browser;

/// Runs the tuner, and returns the page that it wrote.
fn page(name: &str, arguments: &str) -> PathBuf {
    let tune = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tune");
    let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let settings = Path::new(env!("CARGO_TARGET_TMPDIR")).join("settings.toml");
    std::fs::write(&settings, "failure_rate_threshold = 0.5\n").unwrap();
    let (command, more) = arguments.split_once(' ').unwrap();
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--package", "tower-breaker-tune", "--", command])
        .arg(settings)
        .args(more.split(' '))
        .arg("--html")
        .arg(&page)
        .current_dir(tune)
        .status()
        .unwrap();
    assert!(status.success());
    page
}

/// Checks what a person needs: nothing is cut off, nothing is loaded, and the pictures for this screen are there.
async fn check(page: &Path, width: u32, pictures: u32) {
    let browser = Browser::start(width).await;
    let url = format!("file://{}", page.display());
    browser.client.goto(&url).await.unwrap();
    browser.wait_until("document.querySelector('svg')").await;
    let is_cut_off = "return document.documentElement.scrollWidth > window.innerWidth";
    assert_eq!(browser.run(is_cut_off).await, false, "at a width of {width}");
    let visible =
        "return [...document.querySelectorAll('svg')].filter((it) => it.clientWidth > 300).length";
    assert_eq!(browser.run(visible).await, pictures, "at a width of {width}");
    // The smallest text of a picture can be read.
    let smallest = "return Math.min(...[...document.querySelectorAll('svg text')]
        .map((it) => it.getBoundingClientRect().height).filter((it) => it > 0))";
    assert!(browser.run(smallest).await.as_f64().unwrap() >= 10.0, "at a width of {width}");
    assert_eq!(browser.console().await, Vec::<String>::new());
    assert_eq!(browser.requests().await, [url]);
    browser.quit().await;
}

#[tokio::test]
async fn the_report_of_a_replay_fits_every_screen_and_loads_nothing() {
    let page = page("replay.html", "replay traces/soak.csv");
    check(&page, 390, 1).await;
    check(&page, 1200, 1).await;
}

#[tokio::test]
async fn the_report_of_a_sweep_fits_every_screen_and_loads_nothing() {
    let vary = "--vary minimum_calls=5,10 --vary failure_rate_threshold=0.2,0.5";
    let page = page("sweep.html", &format!("sweep traces/outage.csv {vary}"));
    check(&page, 390, 2).await;
    check(&page, 1200, 2).await;
}
