//! The modules' routes as the configuration of a strangler-proxy: a route for the reads and one for the writes of every
//! path, a group for every module, all of them off.

use std::collections::BTreeMap;

use http_api::RouteRow;

/// Methods that change nothing.
const SAFE: [&str; 2] = ["GET", "HEAD"];

/// What stands at the top of the file.
const HEAD: &str = "\
# Every endpoint of the shop, a group for each module. `strangler-proxy toggle GROUP STAGE --reason …` moves them, or an
# edit of this file: it is in force within a second. A route that is to leave the shop needs its new side: `to = \"URL\"`.
# The routes of a module that was carved out lead to its own process, whatever stands here.
";

/// The text of a proxy's file: people go to `listen`, the shop is at `from`, the operator's port is `admin`.
pub fn toml(rows: &[RouteRow], listen: &str, from: &str, admin: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (listen, from, admin) = (quoted(listen), quoted(from), quoted(admin));
    let mut text = format!("{HEAD}listen = {listen}\nfrom = {from}\n\n[admin]\nlisten = {admin}\n");
    for (place, methods) in by_place(rows) {
        let Place { module, path, safe, .. } = place;
        let (name, group, path) = (quoted(&name(module, path, safe)), quoted(module), quoted(path));
        let methods: Vec<_> = methods.into_iter().map(quoted).collect();
        let methods = methods.join(", ");
        text += &format!(
            "\n[[routes]]\nname = {name}\ngroup = {group}\npath = {path}\nmethod = [{methods}]\n"
        );
    }
    text
}

/// One route. The order is that of the file, in which the first that fits has the request: a literal segment comes
/// before a parameter in its place.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    module: &'a str,
    order: Vec<(bool, &'a str)>,
    safe: bool,
    path: &'a str,
}

fn by_place(rows: &[RouteRow]) -> BTreeMap<Place<'_>, Vec<&str>> {
    let mut places: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for row in rows {
        let order = row.path.split('/').map(|part| (part.starts_with('{'), part)).collect();
        let safe = SAFE.contains(&row.method.as_str());
        let place = Place { module: row.module, order, safe, path: row.path };
        let methods = places.entry(place).or_default();
        methods.push(&row.method);
        if row.method == "GET" {
            // The shop answers HEAD wherever it answers GET.
            methods.push("HEAD");
        }
    }
    places
}

/// A name that people can type: `inventory.stock.sku.read`.
fn name(module: &str, path: &str, safe: bool) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != "v1");
    let words = parts.map(|part| part.trim_matches(['{', '}']));
    let kind = if safe { "read" } else { "write" };
    [module].into_iter().chain(words).chain([kind]).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use strangler_proxy::config::{Source, load_text};

    use super::toml;
    use crate::routes::nowhere;

    #[tokio::test]
    async fn the_modules_routes_are_a_right_configuration() {
        let rows = nowhere().unwrap().rows();
        let text = toml(&rows, "127.0.0.1:8080", "unix:/tmp/shop.sock", "127.0.0.1:8082");
        let loaded = load_text(&Source::default(), text.clone(), None).unwrap();
        let groups: std::collections::BTreeSet<_> = rows.iter().map(|row| row.module).collect();
        for group in groups {
            assert!(text.contains(&format!("group = \"{group}\"")), "{group}");
        }
        // One more than ours: the monolith's.
        let ours = text.matches("[[routes]]").count();
        assert_eq!(loaded.snapshot.routes.len(), ours + 1);
        assert!(ours > rows.len() / 2, "{ours} of {}", rows.len());
    }
}
