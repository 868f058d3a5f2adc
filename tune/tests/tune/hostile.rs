//! Files from strangers.

use std::io::Write;
use std::process::Stdio;

use proptest::prelude::*;

use crate::{file, program, tune, tune_with};

#[test]
fn a_trace_that_is_none_is_an_error_with_file_line_and_column() {
    let settings = file("hostile.toml", "");
    for (content, problem) in [
        ("".into(), "line 1: the file is empty"),
        ("a,b\n".into(), "line 1, column 1 (at_us): \"a\" is not `at_us`"),
        ("0,,success,NaN,\n".into(), "line 2, column 4 (duration_us): \"NaN\" is no time"),
        ("0,,success,1e9,\n".into(), "line 2, column 4 (duration_us): \"1e9\" is no time"),
        (
            "0,,success,99999999999999999999,\n".into(),
            "line 2, column 4 (duration_us): \"99999999999999999999\" is more than 20 years",
        ),
        (
            "5,,success,1,\n4,,success,1,\n".into(),
            "line 3, column 1 (at_us): \"4\" is earlier than that of the line before",
        ),
        ("0,,fine,1,\n".into(), "line 2, column 3 (outcome): \"fine\" is none of"),
        (format!("0,{},success,1,\n", "x".repeat(100_000)), "line 2: is longer than 65536 bytes"),
    ] {
        let content: String = content;
        let is_whole = content.is_empty() || content.starts_with('a');
        let header = if is_whole { "" } else { "at_us,key,outcome,duration_us,retry_after_us\n" };
        let trace = file("hostile.csv", format!("{header}{content}"));
        let error = tune(&format!("replay {settings} {trace}")).failed_with(2);
        assert!(error.contains(&format!("hostile.csv: {problem}")), "{error}");
    }
}

#[test]
fn settings_that_are_none_are_an_error_with_file_line_and_column() {
    let large = format!("# {}\n", "x".repeat(64 << 10));
    for (name, content, problem) in [
        ("rate.toml", &b"\nfailure_rate_threshold = 50"[..], "line 2, column 26"),
        ("rate.json", b"{\n\"failure_rate_threshold\": NaN}", "line 2 column 27"),
        ("rate.yaml", b"minimum_calls: 1\nfailure_rate_threshold: .nan\n", "line 2 column 25"),
        ("name.toml", b"minimum_cals = 5", "line 1, column 1"),
        (
            "several_bad.toml",
            b"[a]\nminimum_calls = 5\n[b]\nminimum_calls = 0\n",
            "line 4, column 17",
        ),
        ("binary.toml", b"a = 1\nb\xff", "line 2, column 2: is not UTF-8"),
        ("escape.toml", b"a = 1\n\x1b[2J = 2\n", "line 2, column 2"),
        ("nul.toml", b"a\0b", "line 1, column 4"),
        ("deep.json", "[".repeat(10_000).as_bytes(), "line 1 column"),
        ("deep.yaml", format!("minimum_calls: {}", "[".repeat(10_000)).as_bytes(), "line 1 column"),
        ("deep.toml", format!("a = {}", "[".repeat(10_000)).as_bytes(), "line 1, column"),
        ("large.toml", large.as_bytes(), "is larger than 64 KiB"),
    ] {
        let settings = file(name, content);
        let error = tune(&format!("explain {settings}")).failed_with(2);
        assert!(error.contains(name) && error.contains(problem), "{error}");
        assert!(!error.contains(['\0', '\u{1b}']) && error.len() < 2500, "{error:?}");
    }
}

/// The memory of the program is limited to 400 MB.
#[cfg(target_os = "linux")]
#[test]
fn one_line_of_half_a_gigabyte_does_not_need_the_memory_for_it() {
    let settings = file("gigabyte.toml", "");
    for line in [
        format!("replay {settings} -"),
        format!("replay - {settings}"),
        "convert --format nginx".into(),
        "convert --format json".into(),
        "convert --format nginx --skip-bad-lines".into(),
    ] {
        let limited = format!("ulimit -v 400000; exec \"$0\" {line}");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &limited]).arg(program().get_program());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let part = vec![b'x'; 1 << 20];
        // The program may end before it has read everything.
        for _ in 0..512 {
            if input.write_all(&part).is_err() {
                break;
            }
        }
        drop(input);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {error}");
    }
}

/// Text that is nearly right reaches further into a reader than bytes by chance.
fn nearly(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => "[0-9.eE+-]{0,25}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

const TRACE: &[&str] = &[
    "at_us,key,outcome,duration_us\n",
    "at_us,key,outcome,duration_us,retry_after_us\n",
    "0,a,success,1\n",
    "0,a,success,1,\n",
    "1,\"b",
    "\"",
    "failure",
    ",",
    "\n",
    "99999999999999999999",
    "-1",
    "0.5",
    "rejected",
];
const LOG: &[&str] = &[
    "127.0.0.1 - - [26/Nov/2026:16:39:51 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" 0.001\n",
    "[2026-11-26T16:40:00.250Z] \"GET / HTTP/1.1\" 200 - 0 512 35 34 \"-\" \"-\" \"-\" \"a\" \"b\"\n",
    "{\"time\":1,\"status\":200,\"duration\":0}\n",
    "{\"time\":",
    "[",
    "]",
    "\"",
    "\\",
    " ",
    "\n",
    "-",
    "é",
    "NaN",
    "x 2026-11-26 16:40:00.250 1 INFO a [r] 1 \"GET /\" status: 200 len: 1 time: 0.25\n",
    "2026-11-26",
];
const SETTINGS: &[&str] = &[
    "failure_rate_threshold = 0.5\n",
    "sliding_window = { calls = 10 }\n",
    "open_duration: 5s\n",
    "{",
    "}",
    "[",
    "]",
    "\"minimum_calls\": 5",
    "=",
    "'",
    "\n",
    "&a ",
    "*a",
    "- ",
    "!!x ",
    "99999999999999999999y",
    ": ",
    "half_open",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_trace_makes_the_program_panic(trace in nearly(TRACE)) {
        let settings = file("fuzz_trace.toml", "");
        let run = tune_with(&format!("replay {settings} - --html /dev/null"), &trace);
        prop_assert!([0, 2].contains(&run.code) && !run.err.contains("panicked"), "{}", run.err);
        prop_assert!(run.code == 0 || run.err.starts_with("error: standard input or output: "), "{}", run.err);
    }

    #[test]
    fn no_log_makes_the_program_panic(log in nearly(LOG), format in 0..4_usize, skip in any::<bool>()) {
        let format = ["nginx", "envoy", "json", "openstack"][format];
        let skip = if skip { "--skip-bad-lines" } else { "" };
        let run = tune_with(&format!("convert --format {format} {skip}"), &log);
        prop_assert!([0, 2].contains(&run.code) && !run.err.contains("panicked"), "{}", run.err);
    }

    #[test]
    fn no_settings_make_the_program_panic(settings in nearly(SETTINGS), extension in 0..3_usize) {
        let extension = ["toml", "yaml", "json"][extension];
        let settings = file(&format!("fuzz_settings.{extension}"), settings);
        let run = tune(&format!("explain {settings}"));
        prop_assert!([0, 2].contains(&run.code) && !run.err.contains("panicked"), "{}", run.err);
    }

    #[test]
    fn no_argument_makes_the_program_panic(
        vary in "[a-z_]{0,14}(\\.[a-z]{0,4})?=?[0-9a-z.=/,]{0,20}",
        scenario in "(slow|overload|flapping|one-lost-connection)(,(rate|timeout|period|calls|before)=[0-9]{0,3}(ms|s|d)?){0,3}",
    ) {
        let settings = file("fuzz_arguments.toml", "");
        let line = format!("sweep {settings} --scenario {scenario} --vary {vary} --top 1");
        let run = tune(&line);
        prop_assert!([0, 2].contains(&run.code) && !run.err.contains("panicked"), "{}: {}", line, run.err);
    }
}
