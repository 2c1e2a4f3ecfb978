//! How the tree is kept: where files stand, how long they are and how they begin.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The longest source file. Most are 60 to 300 lines; a table of cases may be longer.
const LINES_MAX: usize = 700;

/// The longest front page.
const README_LINES_MAX: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["common", "core", "helpers", "manager", "misc", "shared", "utils"];

/// All that may stand at the top, besides dotfiles and what git ignores.
const TOP: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "adapters",
    "app",
    "migrations",
    "modules",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("app stands in the workspace").to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the tree can be read") {
        let path = entry.expect("an entry of the tree can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "data" {
            sources(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

fn rust_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["app", "adapters", "modules", "strangler-proxy"] {
        sources(&root().join(folder), &mut found);
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found.sort();
    assert!(found.len() > 20, "the walk found hardly any source, so it proves nothing");
    found
}

#[test]
fn nothing_else_stands_at_the_top() {
    for entry in fs::read_dir(root()).expect("the root can be read") {
        let name = entry.expect("an entry can be read").file_name().to_string_lossy().into_owned();
        let ignored = name == "target" || name == "data";
        assert!(
            name.starts_with('.')
                || ignored
                || name == "strangler-proxy"
                || TOP.contains(&name.as_str()),
            "`{name}` does not belong at the top"
        );
    }
}

#[test]
fn a_file_says_first_what_it_is_for() {
    for path in rust_sources() {
        if path.components().any(|part| part.as_os_str() == "compile_fail") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("source is UTF-8");
        assert!(
            text.starts_with("//! "),
            "{} does not begin with a `//!` sentence",
            path.display()
        );
    }
}

#[test]
fn files_stay_short_and_named_for_what_they_hold() {
    for path in rust_sources() {
        let text = fs::read_to_string(&path).expect("source is UTF-8");
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: split it", path.display());
        assert!(
            !path.ends_with("mod.rs"),
            "{}: `foo.rs` beside `foo/`, never mod.rs",
            path.display()
        );
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(!EMPTY_NAMES.contains(&stem), "{} says nothing by its name", path.display());
    }
}

#[test]
fn no_test_sleeps_by_the_clock_or_is_ignored() {
    let words = [concat!("#[ig", "nore"), concat!("thread::sl", "eep(Duration::from_secs")];
    for path in rust_sources() {
        let text = fs::read_to_string(&path).expect("source is UTF-8");
        for word in words {
            assert!(!text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn the_front_page_is_one_page() {
    let text = fs::read_to_string(root().join("README.md")).expect("there is a front page");
    let lines = text.lines().count();
    assert!(lines < README_LINES_MAX, "README.md has {lines} lines");
    for line in text.lines() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(
                    root().join(file).exists(),
                    "README.md links to `{file}`, which is not there"
                );
            }
        }
    }
}

#[test]
fn every_module_has_its_page_and_both_backends() {
    for entry in fs::read_dir(root().join("modules")).expect("modules can be listed") {
        let module = entry.expect("an entry can be read").path();
        if !module.join("impl").exists() {
            continue;
        }
        let name = module
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a module's name is UTF-8")
            .to_owned();
        assert!(module.join("README.md").exists(), "modules/{name} has no page");
        let list = |backend: &str| {
            let folder = root().join("migrations").join(&name).join(backend);
            let mut names: Vec<_> = fs::read_dir(&folder)
                .unwrap_or_else(|_| panic!("{} is missing", folder.display()))
                .map(|entry| entry.expect("an entry can be read").file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(
            list("sqlite"),
            list("postgres"),
            "{name}: one migration of each name for each backend"
        );
        for backend in ["sqlite", "postgres"] {
            for migration in list(backend) {
                let folder = root().join("migrations").join(&name).join(backend).join(migration);
                assert!(
                    folder.join("up.sql").exists() && folder.join("down.sql").exists(),
                    "{}",
                    folder.display()
                );
            }
        }
    }
}

/// A module has one folder of migrations per database, so a module with sagas keeps a copy of their table.
#[test]
fn every_copy_of_the_saga_table_is_the_same() {
    let mut copies = 0;
    for backend in ["sqlite", "postgres"] {
        for entry in fs::read_dir(root().join("migrations")).expect("migrations can be listed") {
            let module = entry.expect("an entry can be read").file_name();
            let of = |module: &str| {
                let folder = root().join("migrations").join(module).join(backend);
                let all = fs::read_dir(folder).expect("migrations of a database can be listed");
                all.map(|entry| entry.expect("an entry can be read").path())
                    .find(|path| path.to_string_lossy().ends_with("_saga"))
            };
            let original = of("saga").expect("the saga adapter has its table");
            let Some(copy) = of(&module.to_string_lossy()) else { continue };
            for file in ["up.sql", "down.sql"] {
                let read =
                    |folder: &Path| fs::read_to_string(folder.join(file)).expect("SQL is UTF-8");
                assert_eq!(read(&copy), read(&original), "{}", copy.join(file).display());
            }
            copies += 1;
        }
    }
    assert!(copies >= 4, "the walk found no copies, so it proves nothing");
}
