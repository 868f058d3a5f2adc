use crate::{file, recorded, tune, tune_with};

fn convert(line: &str, log: &str) -> String {
    tune(&format!("convert {line} {}", recorded(log))).succeeded()
}

#[test]
fn the_time_of_an_nginx_line_is_that_of_its_end() {
    // Seven lines of nginx 1.22, with one second as the finest time.
    let expected = "\
at_us,key,outcome,duration_us,retry_after_us
0,,success,259000,
246000,,success,13000,
246000,,success,13000,
255000,,failure,4000,
258000,,success,1000,
258000,,soft_failure,1000,
955000,,abandoned,304000,
";
    assert_eq!(convert("--format nginx", "nginx.log"), expected);
}

#[test]
fn the_time_of_nginx_may_be_msec_and_a_field_may_be_the_key() {
    // The same calls.
    let expected = "\
at_us,key,outcome,duration_us,retry_after_us
0,127.0.0.1:18081,success,1000,
22000,127.0.0.1:18081,success,259000,
295000,127.0.0.1:18081,failure,4000,
314000,127.0.0.1:18081,soft_failure,1000,
337000,127.0.0.1:18081,ignored,13000,
377000,127.0.0.1:18081,success,13000,
426000,127.0.0.1:18081,abandoned,304000,
";
    let line = "--format nginx --key-field 11 --outcome 404=ignored";
    assert_eq!(convert(line, "nginx_msec.log"), expected);
    let line = "--format json --time-field msec --key-field upstream --outcome 404=ignored";
    assert_eq!(convert(line, "json_lines.log"), expected);
}

#[test]
fn the_time_of_an_envoy_line_is_that_of_its_start() {
    let expected = "\
at_us,key,outcome,duration_us,retry_after_us
0,items.internal,failure,1000000,
150000,items.internal,success,35000,
900000,search.internal,abandoned,300000,
1400000,search.internal,rejected,0,
";
    assert_eq!(convert("--format envoy", "envoy.log"), expected);
    let by_host = convert("--format envoy --key-field 13", "envoy.log");
    assert!(by_host.contains("\n150000,10.0.1.4:8080,success,35000,\n"), "{by_host}");
}

#[test]
fn json_lines_have_fields_by_name_also_in_other_objects_and_other_units() {
    let log = br#"{"ts":"2026-11-26T16:40:00Z","http":{"code":"503"},"took.ms":250,"host":"a,\"b"}
{"ts":"2026-11-26T17:40:01+01:00","http":{"code":200},"took.ms":0.5,"host":"c"}
"#;
    let line = "convert --format json --time-field ts --status-field http.code --duration-field took.ms \
        --unit ms --time-is start --key-field host";
    let expected = "\
at_us,key,outcome,duration_us,retry_after_us
0,\"a,\"\"b\",failure,250000,
1000000,c,success,500,
";
    assert_eq!(tune_with(line, log).succeeded(), expected);
}

#[test]
fn the_api_calls_of_openstack_are_read_and_the_other_lines_are_counted() {
    let run = tune(&format!("convert --format openstack --key nova {}", recorded("openstack.log")));
    let expected = "\
at_us,key,outcome,duration_us,retry_after_us
0,nova,success,250000,
500000,nova,failure,1000000,
";
    assert_eq!(run.out, expected);
    assert!(run.err.ends_with("openstack.log: 1 line was skipped\n"), "{}", run.err);
    assert_eq!(run.code, 0);
}

#[test]
fn a_converted_log_can_be_replayed_in_a_pipe() {
    let settings = file("convert_pipe.toml", "consecutive_failures = 1\n");
    let trace = convert("--format nginx", "nginx.log");
    let report = tune_with(&format!("replay {settings} - --json"), trace.as_bytes()).json();
    assert_eq!(report["calls"], 7);
    assert_eq!(report["openings"], 1);
}

const GOOD: &str =
    r#"127.0.0.1 - - [26/Nov/2026:16:39:51 +0000] "GET / HTTP/1.1" 200 1 "-" "-" 0.001"#;

#[test]
fn a_line_that_is_not_in_the_format_is_an_error_with_line_and_column_or_is_skipped() {
    for (bad, place) in [
        ("hello", "line 2, column 1: the line has no field 4 with the time"),
        (
            &GOOD.replace("26/Nov", "26/Foo"),
            "line 2, column 15: \"26/Foo/2026:16:39:51 +0000\" is no time",
        ),
        (&GOOD.replace(" 200 ", " 2000 "), "line 2, column 61: \"2000\" is no status, 0 to 999"),
        (&GOOD.replace("0.001", "-0.001"), "line 2, column 75: \"-0.001\" is no duration"),
        (&GOOD.replace("0.001", "NaN"), "line 2, column 75: \"NaN\" is no duration"),
        (&GOOD.replace("0.001", "1e12"), "line 2, column 75: \"1e12\" is no duration"),
        (
            &GOOD.replace("2026", "1896"),
            "line 2, column 15: this call ended more than an hour before",
        ),
        (&GOOD.replace("2026", "2096"), "line 2, column 15: this time is more than 20 years from"),
        (
            &GOOD.replace(":16:39", ":15:30"),
            "line 2, column 15: this call ended more than an hour before",
        ),
        (&"x".repeat(70_000), "line 2, column 65537: the line is longer than 64 KiB"),
    ] {
        let log = file("bad_line.log", format!("{GOOD}\n{bad}\n\n{GOOD}\n"));
        let error = tune(&format!("convert --format nginx {log}")).failed_with(2);
        assert!(error.contains(&format!("bad_line.log: {place}")), "{error}");
        let run = tune(&format!("convert --format nginx --skip-bad-lines {log}"));
        assert_eq!((run.code, run.out.lines().count()), (0, 3), "{}", run.err);
        assert!(run.err.ends_with("bad_line.log: 1 line was skipped\n"), "{}", run.err);
    }
    let log = file("bad_utf8.log", [GOOD.as_bytes(), b"\nab\xffc\n"].concat());
    let error = tune(&format!("convert --format nginx {log}")).failed_with(2);
    assert!(error.contains("line 2, column 3: this is not UTF-8"), "{error}");
    let log = file("bad_json.log", "{\"time\": 1, }\n");
    let error = tune(&format!("convert --format json {log}")).failed_with(2);
    assert!(error.contains("line 1, column 13: is no JSON"), "{error}");
    let error = tune(&format!("convert --format json {}", file("empty.log", ""))).failed_with(2);
    assert!(error.contains("empty.log: has no calls"), "{error}");
}

#[test]
fn a_log_that_is_a_little_out_of_order_is_sorted() {
    let late = GOOD.replace(":16:39:51", ":16:10:51");
    let log = file("disorder.log", format!("{GOOD}\n{late}\n"));
    let trace = tune(&format!("convert --format nginx {log}")).succeeded();
    assert!(trace.ends_with("\n0,,success,1000,\n1740000000,,success,1000,\n"), "{trace}");
}
