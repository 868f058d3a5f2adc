//! What people expect of a command line.

use std::process::Stdio;

use crate::{file, program, recorded, run, tune};

#[test]
fn every_command_has_help_with_examples_and_a_manual_page() {
    for command in ["", "replay", "sweep", "scenario", "explain", "convert", "scenario run"] {
        let help = tune(&format!("{command} --help")).succeeded();
        assert!(help.contains("Example") || command == "scenario run", "{help}");
        let longest = help.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(125), "{help}");
        let page = tune(&format!("man {command}")).succeeded();
        assert!(page.contains(".TH tower-breaker-tune"), "{page}");
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    let error = tune("man nothing").failed_with(2);
    assert!(error.contains("there is no command `nothing` (there are: replay, sweep"), "{error}");
}

#[test]
fn there_are_completions_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = tune(&format!("completions {shell}")).succeeded();
        assert!(text.contains("sweep") && text.contains("vary"), "{shell}");
    }
}

#[test]
fn wrong_arguments_and_files_that_are_not_there_are_exit_code_2_on_standard_error() {
    let settings = file("manners.toml", "");
    let trace = recorded("outage.csv");
    for (line, problem) in [
        ("".into(), "Usage: tower-breaker-tune"),
        ("replay".into(), "required arguments were not provided"),
        ("nothing".into(), "unrecognized subcommand 'nothing'"),
        (format!("replay {settings}"), "a trace is needed"),
        (format!("replay {settings} missing.csv"), "missing.csv: cannot be read: No such file"),
        (format!("replay missing.toml {trace}"), "missing.toml: cannot be read: No such file"),
        (
            format!("replay settings.ini {trace}"),
            "a file of settings is called .toml, .yaml, .yml or .json",
        ),
        (
            format!("replay {settings} {trace} --html /nowhere/x.html"),
            "/nowhere/x.html: cannot be written",
        ),
        (
            format!("replay {settings} {trace} --assert-opens-within 5"),
            "in a duration such as `1m 30s`",
        ),
        (format!("replay {settings} {trace} --assert-sheds-at-most NaN"), "allowed: 0.0 to 1.0"),
        (format!("replay {settings} --scenario nothing"), "there is no scenario \"nothing\""),
        (format!("replay {settings} {}", env!("CARGO_TARGET_TMPDIR")), "Is a directory"),
        ("convert --format apache x.log".into(), "possible values: nginx, envoy, json, openstack"),
    ] {
        let run = tune(&line);
        assert_eq!(run.out, "", "{line}");
        let error = run.failed_with(2);
        assert!(error.contains(problem), "{line}: {error}");
    }
}

#[test]
fn a_pipe_that_is_closed_ends_the_program_quietly() {
    let settings = file("pipe.toml", "");
    let line = "scenario write always-failing,rate=1000";
    for line in
        [line, &format!("replay {settings} {} --json", recorded("outage.csv")), "man", "--help"]
    {
        let mut command = program();
        command.args(line.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{line}");
        assert_eq!(output.status.code(), Some(0), "{line}");
    }
}

#[test]
fn a_disk_that_is_full_is_an_error() {
    let mut command = program();
    let line = "scenario write always-failing,rate=1000 --output /dev/full";
    let error = run(command.args(line.split_whitespace())).failed_with(2);
    assert!(error.contains("/dev/full: cannot be written: No space left"), "{error}");
}

#[test]
fn the_version_is_printed() {
    let expected = format!("tower-breaker-tune {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(tune("--version").succeeded(), expected);
}
