//! The messages in `src/docs/compile_errors.md` are those of the compiler.
//!
//! The test compiles each example of the page that does not compile, as a program of its own, and looks for the lines that
//! the page shows. The compiler may say more.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PAGE: &str = include_str!("../../src/docs/compile_errors.md");

/// An example, and the lines of the message that the page shows.
struct Example {
    code: &'static str,
    message: Vec<&'static str>,
}

fn examples() -> Vec<Example> {
    let wrong = PAGE.split("```compile_fail\n").skip(1);
    wrong
        .map(|text| {
            let (code, rest) = text.split_once("```\n").unwrap();
            let message =
                rest.strip_prefix("\n```text\n").expect("the message follows the example");
            let (message, _) = message.split_once("```\n").unwrap();
            Example { code, message: message.lines().collect() }
        })
        .collect()
}

/// Whether a line of the compiler contains a line of the page, in which `…` stands for anything.
fn fits(said: &str, line: &str) -> bool {
    let mut rest = Some(said);
    for part in line.split('…') {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, rest)| rest);
    }
    rest.is_some()
}

/// Makes a program of an example, as rustdoc does.
fn program(code: &str) -> String {
    let mut program = String::from("fn main() {\n");
    for line in code.lines() {
        let hidden = line.strip_prefix("# ").or(line.strip_prefix("#").filter(|it| it.is_empty()));
        writeln!(program, "{}", hidden.unwrap_or(line)).unwrap();
    }
    program + "}\n"
}

/// Compiles the programs. Returns the errors of each.
fn errors(programs: &[String]) -> HashMap<String, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_errors");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let _ = fs::remove_dir_all(folder.join("src"));
    fs::create_dir_all(folder.join("src/bin")).unwrap();
    for (number, program) in programs.iter().enumerate() {
        fs::write(folder.join(format!("src/bin/example{number}.rs")), program).unwrap();
    }
    let manifest = format!(
        r#"
[package]
name = "compile-errors"
edition = "2024"

[features]
default = ["http"] # the examples ask for it
http = []

[dependencies]
axum = {{ version = "0.8", default-features = false }}
http = "1"
hyper = "1"
hyper-util = {{ version = "0.1", features = ["client-legacy", "http1", "tokio"] }}
reqwest = {{ version = "0.13", default-features = false }}
tower = {{ version = "0.5", features = ["timeout", "util"] }}
tower-breaker = {{ path = '{}', features = ["http"] }}

[workspace]
"#,
        repository.display()
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The versions that are there already, so that nothing has to be fetched.
    fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--keep-going", "--bins", "--message-format=json"])
        .arg("--target-dir")
        .arg(folder.join("target"))
        .current_dir(&folder)
        .output()
        .unwrap();
    let mut errors = HashMap::<_, String>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(rendered) = line["message"]["rendered"].as_str() {
            errors
                .entry(line["target"]["name"].as_str().unwrap().to_owned())
                .or_default()
                .push_str(rendered);
        }
    }
    assert!(!errors.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    errors
}

#[test]
fn the_messages_of_the_page_are_those_of_the_compiler() {
    let examples = examples();
    assert_eq!(PAGE.matches("```compile_fail").count(), examples.len());
    let programs: Vec<_> = examples.iter().map(|example| program(example.code)).collect();
    let errors = errors(&programs);
    for (number, example) in examples.iter().enumerate() {
        let said = errors.get(&format!("example{number}")).expect("it does not compile");
        assert!(!example.message.is_empty());
        for line in &example.message {
            let is_said = said.lines().any(|said| fits(said, line));
            assert!(is_said, "the page says\n{line}\nand the compiler says\n{said}");
        }
    }
}

#[test]
fn each_example_that_does_not_compile_is_followed_by_one_that_does() {
    for text in PAGE.split("```compile_fail\n").skip(1) {
        assert!(text.contains("\n\n```\n"), "no code that compiles after\n{text}");
    }
}
