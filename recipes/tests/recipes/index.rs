//! The index and the files agree.

use std::fs;

const INDEX: &str = include_str!("../../README.md");

/// The names of the recipes, and their text.
fn recipes() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut recipes: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    recipes.sort();
    assert!(recipes.len() >= 12);
    recipes
}

#[test]
fn each_recipe_has_fewer_than_eighty_lines() {
    for (name, text) in recipes() {
        assert!(text.lines().count() < 80, "{name} has {} lines", text.lines().count());
    }
}

#[test]
fn the_index_has_the_question_the_file_and_the_command_of_each_recipe_and_no_others() {
    for (name, text) in recipes() {
        let question = text.lines().next().unwrap().strip_prefix("//! ").unwrap();
        let row = format!("| {question} | [`{name}`](examples/{name}.rs) |");
        assert!(INDEX.contains(&row), "missing in README.md: {row}");
        let command = format!("cargo run -p tower-breaker-recipes --example {name}`");
        assert!(text.contains(&command), "{name} does not say how it is run");
        let test = format!("{}/tests/recipes/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        assert!(fs::exists(test).unwrap(), "{name} has no test");
    }
    assert_eq!(INDEX.matches("](examples/").count(), recipes().len());
}
