//! Keys that there are not, each with the one that was probably meant: serde would name only the first and say nothing
//! about where it stands.

use serde_json::Value;

use super::{
    document::{Config, ListenTable, ListenTlsPart, RoutePart, UpstreamPart, UpstreamTlsPart},
    fault::{Fault, KeyPath},
    place::Node,
};

/// How alike two keys must be for one to be suggested (Jaro-Winkler): a slip of the hand, not another word.
const ALIKE_MIN: f64 = 0.75;

/// All keys of a document that no configuration has.
pub fn unknown_keys(root: &Node) -> Vec<Fault> {
    let mut faults = Vec::new();
    let shapes = Shapes {
        config: shape(&Config::default()),
        listen: shape(&ListenTable {
            tls: Some(ListenTlsPart::default()),
            ..ListenTable::default()
        }),
        upstream: shape(&UpstreamPart {
            tls: Some(UpstreamTlsPart::default()),
            ..UpstreamPart::default()
        }),
        route: shape(&RoutePart::default()),
    };
    shapes.walk(root, &shapes.config, &KeyPath::root(), &mut faults);
    faults
}

struct Shapes {
    config: Value,
    listen: Value,
    upstream: Value,
    route: Value,
}

fn shape(default: &impl serde::Serialize) -> Value {
    serde_json::to_value(default).unwrap_or_default()
}

impl Shapes {
    fn walk(&self, node: &Node, shape: &Value, path: &KeyPath, faults: &mut Vec<Fault>) {
        let (Node::Table(entries), Value::Object(known)) = (node, shape) else { return };
        for (name, line, below) in entries {
            let here = path.key(name);
            match known.get(name) {
                // Lists of routes and tables of upstreams are empty by default: their shape is their entry's.
                Some(_) if here.0.len() == 1 && (name == "routes" || name == "listen") => {
                    let shape = if name == "routes" { &self.route } else { &self.listen };
                    if let Node::List(entries) = below {
                        for (index, (_, entry)) in entries.iter().enumerate() {
                            self.walk(entry, shape, &here.index(index), faults);
                        }
                    }
                }
                Some(_) if here.0.len() == 1 && name == "upstreams" => {
                    if let Node::Table(upstreams) = below {
                        for (upstream, _, below) in upstreams {
                            self.walk(below, &self.upstream, &here.key(upstream), faults);
                        }
                    }
                }
                // An empty table by default takes any key.
                Some(Value::Object(table)) if table.is_empty() => {}
                Some(below_shape) => self.walk(below, below_shape, &here, faults),
                None => {
                    let hint = nearest(name, known.keys())
                        .map(|meant| format!("; did you mean `{meant}`?"))
                        .unwrap_or_default();
                    let mut fault = Fault::at(&here, format_args!("there is no such key{hint}"));
                    fault.line = Some(*line);
                    faults.push(fault);
                }
            }
        }
    }
}

/// The known word that is most like this one, where one is.
pub fn nearest<'k, S: AsRef<str> + 'k + ?Sized>(
    word: &str,
    known: impl IntoIterator<Item = &'k S>,
) -> Option<&'k str> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known.as_ref(), word), known.as_ref()))
        .filter(|(alike, _)| *alike >= ALIKE_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
