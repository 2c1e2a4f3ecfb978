//! Which workspace crate may depend on which, held on `cargo metadata`. The rules name folders, never a module.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand, camino::Utf8Path};

/// What a crate is, by the folder it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    App,
    Proxy,
    /// An adapter, and whether the proxy may use it too.
    Adapter {
        for_proxy: bool,
    },
    Kernel,
    Api,
    Impl,
}

fn place(folder: &Utf8Path) -> Place {
    let parts: Vec<&str> = folder.components().map(|part| part.as_str()).collect();
    match parts.as_slice() {
        ["app"] => Place::App,
        ["strangler-proxy"] => Place::Proxy,
        ["adapters", name, ..] => {
            Place::Adapter { for_proxy: ["telemetry", "settings", "http"].contains(name) }
        }
        ["modules", "kernel", "api"] => Place::Kernel,
        ["modules", _, "api"] => Place::Api,
        ["modules", _, "impl"] => Place::Impl,
        other => panic!("no crate belongs into {other:?}"),
    }
}

/// May a crate in `from` depend on a crate in `to`?
fn allowed(from: Place, to: Place, contract: bool) -> bool {
    match (from, to) {
        (Place::App, _) => true,
        (Place::Api, Place::Api | Place::Kernel)
        | (Place::Impl, Place::Api | Place::Kernel | Place::Adapter { .. }) => true,
        (Place::Api, Place::Adapter { .. }) => contract,
        (Place::Adapter { .. }, Place::Adapter { .. } | Place::Kernel) => true,
        (Place::Proxy, Place::Adapter { for_proxy }) => for_proxy,
        _ => false,
    }
}

#[test]
fn crates_depend_only_on_what_their_folder_allows() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata answers");
    let root = &metadata.workspace_root;
    let folder = |manifest: &Utf8Path| {
        manifest
            .parent()
            .expect("a manifest has a folder")
            .strip_prefix(root)
            .expect("in the workspace")
            .to_owned()
    };
    let places: BTreeMap<&str, _> = metadata
        .packages
        .iter()
        .map(|package| (package.name.as_str(), folder(&package.manifest_path)))
        .collect();

    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let from = folder(&package.manifest_path);
        for dependency in &package.dependencies {
            // A test may use a neighbour's fake; what ships may not.
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            let Some(to) = places.get(dependency.name.as_str()) else { continue };
            if !allowed(place(&from), place(to), to.starts_with("adapters/contract")) {
                wrong.push(format!("{from} must not depend on {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tests_of_a_module_never_use_another_modules_implementation() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata answers");
    for package in &metadata.packages {
        let own = package.name.as_str();
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            assert!(
                own == "banyan" || !name.ends_with("-impl") || name == own,
                "{own} names {name}: only app may name an implementation"
            );
        }
    }
}

#[test]
fn every_dependency_stands_once_in_the_workspace() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata answers");
    for package in &metadata.packages {
        let manifest =
            std::fs::read_to_string(&package.manifest_path).expect("a manifest can be read");
        for line in manifest.lines().skip_while(|line| !line.contains("dependencies]")) {
            assert!(
                !line.contains("version =")
                    && (!line.contains("path =") || line.contains("path = \".\"")),
                "{}: `{line}` belongs into [workspace.dependencies]",
                package.name
            );
        }
    }
}

#[test]
fn the_rules_themselves_refuse_what_they_should() {
    let adapter = Place::Adapter { for_proxy: true };
    for (from, to, contract, expected) in [
        (Place::Api, adapter, false, false),
        (Place::Api, adapter, true, true),
        (Place::Impl, Place::Impl, false, false),
        (Place::Impl, Place::App, false, false),
        (adapter, Place::Api, false, false),
        (adapter, Place::Kernel, false, true),
        (Place::Proxy, Place::Adapter { for_proxy: false }, false, false),
        (Place::Proxy, Place::Api, false, false),
        (Place::Kernel, Place::Api, false, false),
    ] {
        assert_eq!(allowed(from, to, contract), expected, "{from:?} -> {to:?}");
    }
}
