//! The documents in the repository: their links lead somewhere, and what can be counted is right.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCS_RS: &str = "https://docs.rs/tower-breaker/latest/tower_breaker/";

/// All Markdown files that people read in the repository. The guides are part of the documentation: rustdoc checks their
/// links to items, and the last test here the others.
fn documents() -> Vec<PathBuf> {
    let mut documents = Vec::new();
    let mut folders = vec![PathBuf::from(".")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_built = name == "target" || name.starts_with('.') || path.ends_with("src/docs");
            if path.is_dir() && !is_built {
                folders.push(path);
            } else if name.ends_with(".md") {
                documents.push(path);
            }
        }
    }
    documents
}

/// Returns a Markdown text without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// Returns the targets of the links and pictures in a text, without those in code.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let attributes = ["src=\"", "srcset=\""].into_iter().flat_map(|attribute| {
        prose.split(attribute).skip(1).filter_map(|rest| rest.split('"').next())
    });
    inline.chain(attributes).map(str::to_owned).collect()
}

/// Returns the anchors of the headings in a Markdown text.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

/// Returns what is wrong with a link, if anything.
fn problem(document: &Path, link: &str) -> Option<String> {
    let (target, anchor) = link.split_once('#').map_or((link, None), |(to, at)| (to, Some(at)));
    let file = if let Some(page) = target.strip_prefix(DOCS_RS) {
        // A guide, or a module with a page of its own.
        let page = page.trim_end_matches('/');
        let sources = [format!("src/{page}.md"), format!("src/{page}.rs")];
        match sources.iter().find(|source| Path::new(source).is_file()) {
            Some(source) => PathBuf::from(source),
            None => return Some("there is no such page".into()),
        }
    } else if target.starts_with("https://") {
        return None;
    } else if target.is_empty() {
        document.to_owned()
    } else {
        document.parent().unwrap().join(target)
    };
    if !file.exists() {
        return Some("there is no such file".into());
    }
    let anchor = anchor?;
    let text = fs::read_to_string(&file).unwrap();
    (!anchors(&text).contains(anchor)).then(|| "there is no such heading".into())
}

#[test]
fn every_link_leads_somewhere() {
    let mut problems = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            if let Some(problem) = problem(&document, &link) {
                problems.push(format!("{}: {link}: {problem}", document.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A relative link of the README is a link into the repository for those who read it elsewhere, so what it leads to must
/// make sense there. A guide does not: its links to items work only in the documentation.
#[test]
fn the_readme_leads_to_guides_in_the_documentation() {
    let text = fs::read_to_string("README.md").unwrap();
    let into_sources: Vec<_> =
        links(&text).into_iter().filter(|link| link.starts_with("src/")).collect();
    assert!(into_sources.is_empty(), "{into_sources:?}");
}

#[test]
fn the_readme_says_how_many_scenarios_were_recorded() {
    let mut recorded = 0;
    for entry in fs::read_dir("tests/vectors").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            recorded += fs::read_to_string(path).unwrap().lines().count();
        }
    }
    let text = fs::read_to_string("README.md").unwrap();
    assert!(text.contains(&format!(" {recorded} scenarios")), "{recorded}");
}

#[test]
fn the_readme_names_every_dependency_of_the_default_build() {
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap();
    let is_optional = |it: &toml::Value| it.get("optional").is_some_and(|it| it.as_bool().unwrap());
    let text = fs::read_to_string("README.md").unwrap();
    let start = text.find("The default build depends on").unwrap();
    let sentence = text[start..].split(". ").next().unwrap();
    let named: BTreeSet<&str> = sentence.split('`').skip(1).step_by(2).collect();
    let needed: BTreeSet<&str> =
        dependencies.iter().filter(|(_, it)| !is_optional(it)).map(|(name, _)| &**name).collect();
    assert_eq!(named, needed);
    let minimum = manifest["package"]["rust-version"].as_str().unwrap();
    assert!(text.contains(&format!("Rust {minimum} is the minimum")));
}

#[test]
fn the_readme_has_a_row_for_every_feature_and_every_example() {
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    let text = fs::read_to_string("README.md").unwrap();
    for feature in manifest["features"].as_table().unwrap().keys() {
        assert!(text.contains(&format!("\n| `{feature}` |")), "{feature}");
    }
    for entry in fs::read_dir("examples").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_program = path.is_dir() || path.extension().is_some_and(|it| it == "rs");
        // The soak test is for those who change the crate.
        if is_program && name != "soak" {
            assert!(text.contains(&format!("[`{name}`](examples/")), "{name}");
        }
    }
}

/// Guides are built without features as well, so they name the items of a feature by their page, which rustdoc does not
/// check.
#[test]
fn the_guides_link_to_pages_that_exist() {
    let mut guides: Vec<PathBuf> = Vec::new();
    for folder in ["src/docs", "src/docs/moving"] {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        guides.extend(files.filter(|path| path.is_file()));
    }
    let mut pages = 0;
    for guide in guides {
        let text = fs::read_to_string(&guide).unwrap();
        let definitions = text.lines().filter_map(|line| line.split_once("]: "));
        let targets = links(&text).into_iter().chain(definitions.map(|(_, to)| to.to_owned()));
        // The page of a guide is `docs/testing/index.html`.
        let folder = guide.strip_prefix("src").unwrap().with_extension("");
        for link in targets.filter(|link| link.contains(".html") && !link.contains("://")) {
            let page = link.split('#').next().unwrap();
            let mut path: Vec<&str> = folder.iter().map(|part| part.to_str().unwrap()).collect();
            for part in page.split('/') {
                match part {
                    ".." => _ = path.pop().expect("a page of this crate"),
                    part => path.push(part),
                }
            }
            let name = path.pop().unwrap();
            assert!(is_documented(&path, name), "{}: {link}", guide.display());
            pages += 1;
        }
    }
    assert!(pages > 5);
}

/// Whether the module has this page: its own, or that of an item.
fn is_documented(module: &[&str], page: &str) -> bool {
    let module_file = match module {
        [] => "src/lib.rs".into(),
        ["docs", guide @ ..] => format!("src/docs/{}.md", guide.join("/")),
        ["metrics"] => "src/observe/metrics.rs".into(),
        path => format!("src/{}.rs", path.join("/")),
    };
    let Ok(module) = fs::read_to_string(module_file) else { return false };
    match page.trim_end_matches(".html").split_once('.') {
        None => page == "index.html",
        // It is exported there.
        Some((kind, item)) => {
            let is_kind = ["struct", "enum", "trait", "fn", "type"].contains(&kind);
            is_kind && module.split(|c: char| !c.is_alphanumeric() && c != '_').any(|it| it == item)
        }
    }
}
