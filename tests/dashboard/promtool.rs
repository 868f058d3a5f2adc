//! Prometheus' own tool on the metrics and on the alert rules.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::{after_an_outage, is_installed};

/// Runs promtool with this input, and fails if it complains.
fn promtool(arguments: &[&str], input: &str) {
    if !is_installed("promtool") {
        return;
    }
    let mut promtool = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|s| String::from_utf8(s).unwrap());
    assert!(output.status.success(), "promtool {arguments:?}:\n{stdout}{stderr}");
}

#[test]
fn promtool_has_no_complaint_about_the_metrics() {
    promtool(&["check", "metrics"], &after_an_outage().render());
}

#[test]
fn promtool_has_no_complaint_about_the_alert_rules() {
    promtool(&["check", "rules", "dashboards/alerts.yml"], "");
}

#[test]
fn the_alerts_do_what_their_tests_say() {
    promtool(&["test", "rules", "dashboards/alerts_test.yml"], "");
}
