//! The layers of the crate, checked by reading the imports in `src`.
//!
//! `src/lib.rs` declares the layers in order, and a layer may import only those that are declared above it.
//! Within a layer, modules must not import one another in a circle, at any depth. A module and its own
//! submodules are one unit: a submodule may use what its parent defines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest source file that can be read in one sitting.
const MOST_LINES: usize = 400;

/// A module by its path below the crate: `["machine", "window", "count"]`.
type Module = Vec<String>;

struct Crate {
    /// The code of each module, without comments. The crate itself is the empty path.
    code: BTreeMap<Module, String>,
    /// Where a name that a module re-exports from a submodule is defined.
    exports: BTreeMap<(Module, String), Module>,
}

impl Crate {
    fn read() -> Self {
        let mut code = BTreeMap::new();
        for file in files() {
            let module = match file.to_str().unwrap().trim_end_matches(".rs") {
                "lib" => Module::new(),
                path => path.split('/').map(str::to_owned).collect(),
            };
            let text = fs::read_to_string(Path::new("src").join(&file)).unwrap();
            code.insert(module, without_comments(&text));
        }
        let mut this = Self { code, exports: BTreeMap::new() };
        for (module, code) in &this.code {
            for path in paths(code, &["self::", "crate::"]) {
                let Some(name) = path.last() else { continue };
                let start = if path[0] == "crate" { Module::new() } else { module.clone() };
                let target: Module = start.into_iter().chain(path[1..].iter().cloned()).collect();
                if target.len() > module.len() + 1 && target.starts_with(module) {
                    let home = target[..target.len() - 1].to_vec();
                    this.exports.insert((module.clone(), name.clone()), home);
                }
            }
        }
        this
    }

    /// The module in which this path ends, with re-exports followed.
    fn resolve(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        let mut rest = path;
        while let [name, tail @ ..] = rest {
            let child: Module = module.iter().chain([name]).cloned().collect();
            if self.code.contains_key(&child) {
                (module, rest) = (child, tail);
            } else if let Some(home) = self.exports.get(&(module.clone(), name.clone())) {
                module = home.clone();
            } else {
                break;
            }
        }
        module
    }

    /// All imports, as pairs of modules.
    fn imports(&self) -> Vec<(Module, Module)> {
        let mut imports = Vec::new();
        for (module, code) in &self.code {
            // What follows is a module in the same file, so `super` is one step shorter there.
            let (own, tests) = code.split_once("mod tests {").unwrap_or((code, ""));
            for (code, depth) in [(own, module.len()), (tests, module.len() + 1)] {
                for path in paths(code, &["crate::", "super::", "self::"]) {
                    let ups = path.iter().take_while(|name| *name == "super").count();
                    let start = match path[0].as_str() {
                        "crate" => &[][..],
                        "self" => &module[..],
                        _ => &module[..depth.saturating_sub(ups).min(module.len())],
                    };
                    let names = &path[ups.max(1)..];
                    let target: Module = start.iter().chain(names).cloned().collect();
                    imports.push((module.clone(), self.resolve(&target)));
                }
            }
        }
        imports
    }
}

fn files() -> Vec<PathBuf> {
    fn visit(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.strip_prefix("src").unwrap().to_owned());
            }
        }
    }
    let mut files = Vec::new();
    visit(Path::new("src"), &mut files);
    files
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned() + "\n";
    text.lines().map(code).collect()
}

/// All paths in the code that begin with one of these words; a group in braces is several paths.
fn paths(code: &str, words: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for word in words {
        for (at, _) in code.match_indices(word) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                let mut rest = &code[at..];
                read_tree(&mut rest, &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads `a::b`, `a::{b, c::d}` or `a as b`, and moves on behind it.
fn read_tree(rest: &mut &str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let depth = before.len();
    loop {
        *rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
        let name = &rest[..end.unwrap_or(rest.len())];
        *rest = &rest[name.len()..];
        if !name.is_empty() {
            before.push(name.to_owned());
        }
        if let Some(tail) = rest.strip_prefix("::{") {
            *rest = tail;
            while !rest.trim_start().starts_with('}') {
                read_tree(rest, before, found);
                let end = rest.find([',', '}']).expect("the group is closed");
                *rest = rest[end..].trim_start_matches(',');
            }
            *rest = &rest.trim_start()[1..];
            break;
        }
        match rest.strip_prefix("::") {
            Some(tail) => *rest = tail,
            None => {
                found.push(before.clone());
                break;
            }
        }
    }
    before.truncate(depth);
}

/// For each room, which of its modules import which others.
fn rooms() -> BTreeMap<Module, BTreeSet<(String, String)>> {
    let mut rooms = BTreeMap::<_, BTreeSet<_>>::new();
    for (from, to) in Crate::read().imports() {
        let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
            rooms.entry(from[..common].to_vec()).or_default().insert((a.clone(), b.clone()));
        }
    }
    rooms
}

#[test]
fn a_layer_imports_only_the_layers_that_are_declared_above_it() {
    let lib = without_comments(&fs::read_to_string("src/lib.rs").unwrap());
    let declared = lib
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    let layers: Vec<_> = declared.collect();
    let place = |name: &str| layers.iter().position(|layer| *layer == name);
    let imports = &rooms()[&Module::new()];
    assert!(imports.contains(&("layer".into(), "machine".into())), "the imports were not read");
    for (from, to) in imports {
        assert!(place(to) < place(from), "`{from}` imports `{to}`, which is below it");
    }
}

#[test]
fn the_modules_of_a_layer_do_not_import_one_another_in_a_circle() {
    for (room, mut imports) in rooms() {
        // Modules that import nothing that is left are taken out until there are none.
        loop {
            let importing: BTreeSet<_> = imports.iter().map(|(from, _)| from.clone()).collect();
            let left = imports.len();
            imports.retain(|(_, to)| importing.contains(to));
            if imports.len() == left {
                break;
            }
        }
        assert!(imports.is_empty(), "a circle in `{}`: {imports:?}", room.join("::"));
    }
}

#[test]
fn no_source_file_is_too_long_to_be_read_in_one_sitting() {
    for file in files() {
        let lines = fs::read_to_string(Path::new("src").join(&file)).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", file.display());
    }
}
