//! Traces as files, of which some come from strangers.

use std::io::{self, BufReader, Read, repeat};
use std::time::Duration;

use proptest::prelude::*;
use tower_breaker::Ending;
use tower_breaker::replay::{Call, Trace};

use crate::draw::trace;
use crate::{cases, ms, secs};

const HEADER: &str = "at_us,key,outcome,duration_us,retry_after_us\n";

fn read(text: &str) -> Result<Trace, String> {
    Trace::read_csv(text.as_bytes()).map_err(|error| error.to_string())
}

/// Returns the error for these lines below a header.
fn error(lines: &str) -> String {
    read(&format!("{HEADER}{lines}")).unwrap_err()
}

#[test]
fn a_trace_has_a_line_for_each_call() {
    let trace = read(&format!("{HEADER}0,payments,success,20000,\n250000.5,,rejected,0,\n1e0,"));
    assert!(trace.is_err());
    let trace = read(&format!(
        "{HEADER}0,\"a, \"\"b\"\"\",soft_failure,20000,5000000\n250000.5,,rejected,0,\n"
    ));
    let first = Call::new(ms(0), Ending::SoftFailure, ms(20));
    let first = first.with_key("a, \"b\"").with_retry_after(secs(5));
    let second = Call::rejected(Duration::from_nanos(250_000_500));
    assert_eq!(*trace.unwrap().calls(), [first, second]);
}

#[test]
fn the_last_column_may_be_missing() {
    let trace = read("at_us,key,outcome,duration_us\n0,a,success,1000\n").unwrap();
    assert_eq!(trace.calls().len(), 1);
    let error = read("at_us,key,outcome,duration_us\n0,a,success,1000,7\n").unwrap_err();
    assert_eq!(
        error,
        "line 2, column 5 (retry_after_us): \"7\" is a field more than the header has"
    );
}

#[test]
fn an_error_names_the_line_and_the_column() {
    for (lines, expected) in [
        (
            "0,a,success,1,\n-5,a,success,1,\n",
            "line 3, column 1 (at_us): \"-5\" is no time in microseconds, such as 1500 or 0.25",
        ),
        (
            "0,a,success,NaN,\n",
            "line 2, column 4 (duration_us): \"NaN\" is no time in microseconds, such as 1500 or 0.25",
        ),
        (
            "0,a,success,inf,\n",
            "line 2, column 4 (duration_us): \"inf\" is no time in microseconds, such as 1500 or 0.25",
        ),
        (
            "0,a,success,1e3,\n",
            "line 2, column 4 (duration_us): \"1e3\" is no time in microseconds, such as 1500 or 0.25",
        ),
        (
            "0,a,success,,\n",
            "line 2, column 4 (duration_us): \"\" is no time in microseconds, such as 1500 or 0.25",
        ),
        ("0,a,success\n", "line 2, column 4 (duration_us): this field is missing"),
        (
            "99999999999999999999999,a,success,1,\n",
            "line 2, column 1 (at_us): \"99999999999999999999999\" is more than 20 years",
        ),
        (
            "630720000000001,a,success,1,\n",
            "line 2, column 1 (at_us): \"630720000000001\" is more than 20 years",
        ),
        (
            "0,a,success,1,x\n",
            "line 2, column 5 (retry_after_us): \"x\" is no time in microseconds, such as 1500 or 0.25",
        ),
        (
            "0,a,Success,1,\n",
            "line 2, column 3 (outcome): \"Success\" is none of success, failure, soft_failure, ignored, abandoned, rejected",
        ),
        (
            "5,a,success,1,\n4.999,a,success,1,\n",
            "line 3, column 1 (at_us): \"4.999\" is earlier than that of the line before",
        ),
        ("0,a,success,1,,,\n", "line 2: has more than 6 fields"),
        ("0,a,success,1,,\n", "line 2, column 6: \"\" is a field more than the header has"),
    ] {
        assert_eq!(error(lines), expected);
    }
    assert_eq!(read("").unwrap_err(), "line 1: the file is empty");
    let header = read("time,key,outcome,duration_us\n").unwrap_err();
    assert_eq!(
        header,
        "line 1, column 1 (at_us): \"time\" is not `at_us`: \
         the file needs the header `at_us,key,outcome,duration_us,retry_after_us`"
    );
}

#[test]
fn lines_are_counted_whatever_ends_them() {
    for (file, line) in [
        ("at_us,key,outcome,duration_us\r\n0,a,failed,1\r\n", 2),
        ("at_us,key,outcome,duration_us\n\n\n0,a,failed,1\n", 4),
        ("at_us,key,outcome,duration_us\r\n\r\n0,a,success,1\r\n\r\n0,a,failed,1\r\n", 5),
        ("at_us,key,outcome,duration_us\n0,\"a\nb\",success,1\n0,a,failed,1", 4),
    ] {
        assert_eq!(Trace::read_csv(file.as_bytes()).unwrap_err().line(), line, "{file:?}");
        let byte_by_byte = BufReader::with_capacity(1, file.as_bytes());
        assert_eq!(Trace::read_csv(byte_by_byte).unwrap_err().line(), line, "{file:?}");
    }
}

#[test]
fn what_a_server_asked_for_can_always_be_read_back() {
    let century = secs(100 * 365 * 24 * 3600);
    let trace: Trace =
        [Call::new(ms(0), Ending::Failure, ms(1)).with_retry_after(century)].into_iter().collect();
    let mut file = Vec::new();
    trace.write_csv(&mut file).unwrap();
    let read = Trace::read_csv(&file[..]).unwrap();
    assert_eq!(read.calls(), trace.calls());
    assert_eq!(read.calls()[0].retry_after, Some(century / 5));
}

#[test]
fn what_is_not_text_is_an_error() {
    let file = [HEADER.as_bytes(), b"0,\xff\xfe,success,1,\n"].concat();
    let error = Trace::read_csv(&file[..]).unwrap_err();
    assert_eq!((error.line(), error.column()), (2, Some(2)));
}

#[test]
fn a_file_that_is_one_line_of_many_gigabytes_is_not_read_into_memory() {
    for byte in [b'a', b'\0', b'"', b','] {
        let endless = BufReader::new(repeat(byte));
        let error = Trace::read_csv(endless).unwrap_err().to_string();
        assert!(
            error.starts_with("line 1: has more than")
                || error == "line 1: is longer than 65536 bytes",
            "{error}"
        );
        let below_header = HEADER.as_bytes().chain(BufReader::new(repeat(byte)));
        assert_eq!(Trace::read_csv(below_header).unwrap_err().line(), 2);
    }
    // Lines within quotes are one record.
    let quoted = io::Cursor::new("\"").chain(BufReader::new(repeat(b'\n')));
    let error = Trace::read_csv(HEADER.as_bytes().chain(quoted)).unwrap_err();
    assert_eq!(error.line(), 2);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_its_reason() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    let file = HEADER.as_bytes().chain(BufReader::new(Broken));
    let error = Trace::read_csv(file).unwrap_err();
    assert_eq!(error.to_string(), "line 2: the file cannot be read");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "the disk is on fire");
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_is_written_reads_back_as_the_same_trace(trace in trace(), key in "[a\",\n\r é]{0,6}") {
        let mut calls = trace.calls().into_owned();
        for call in calls.iter_mut().filter(|call| *call.key == *"b") {
            call.key = key.as_str().into();
        }
        let trace: Trace = calls.into_iter().collect();
        let mut file = Vec::new();
        trace.write_csv(&mut file).unwrap();
        let read = Trace::read_csv(&file[..]).unwrap();
        prop_assert_eq!(read.calls(), trace.calls());
    }

    #[test]
    fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), with_header: bool) {
        let header = if with_header { HEADER.as_bytes() } else { b"" };
        _ = Trace::read_csv(&[header, &bytes[..]].concat()[..]);
    }

    #[test]
    fn no_line_makes_it_panic(lines in "([0-9.,a-z\"\n-]{0,12}(,success,|,,|\n)){0,8}") {
        _ = read(&format!("{HEADER}{lines}"));
    }
}
