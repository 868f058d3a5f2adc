//! The README prints what the program prints. `BLESS=1 cargo test -p tower-breaker-tune readme` writes it into the README.

use std::fmt::Write;
use std::path::Path;

use crate::{program, run, scratch};

const README: &str = include_str!("../../README.md");

/// The blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    README.split(&start).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// Runs the commands of the README in a directory with the traces, and returns the blocks as they should be.
fn run_commands() -> Vec<String> {
    let directory = scratch("readme");
    std::fs::create_dir_all(directory.join("traces")).unwrap();
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    for trace in std::fs::read_dir(traces).unwrap() {
        let trace = trace.unwrap();
        std::fs::copy(trace.path(), directory.join("traces").join(trace.file_name())).unwrap();
    }
    let settings = blocks("toml").into_iter().find(|it| it.starts_with("# settings.toml\n"));
    std::fs::write(directory.join("settings.toml"), settings.unwrap()).unwrap();
    blocks("console").into_iter().map(|block| run_block(block, &directory)).collect()
}

/// A block has one command. A line of it that ends with a backslash goes on in the next one.
fn run_block(block: &str, directory: &Path) -> String {
    let mut expected = String::new();
    let mut words = Vec::new();
    for line in block.lines() {
        _ = writeln!(expected, "{line}");
        words.extend(line.trim_start_matches("$ ").trim_end_matches('\\').split_whitespace());
        if !line.ends_with('\\') {
            break;
        }
    }
    assert_eq!(words[0], "tower-breaker-tune");
    let run = run(program().args(&words[1..]).current_dir(directory));
    expected + &run.out + &run.err
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let mut readme = README.to_owned();
    for (shown, expected) in blocks("console").into_iter().zip(run_commands()) {
        readme =
            readme.replace(&format!("```console\n{shown}"), &format!("```console\n{expected}"));
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"), &readme).unwrap();
    }
    assert_eq!(README, readme);
    assert!(blocks("console").len() >= 6);
    let page = std::fs::read_to_string(scratch("readme").join("report.html")).unwrap();
    assert!(page.contains("<svg"));
}
