//! Where a key stands: the line of a [`KeyPath`] in the file's text.

use toml_edit::{Document, Item, TableLike, Value};

use super::fault::{KeyPath, Step};

/// The keys of a text and the lines they stand in.
#[derive(Debug, Clone)]
pub struct Places {
    /// The whole document.
    pub root: Node,
}

/// A value, reduced to where its parts stand.
#[derive(Debug, Clone)]
pub enum Node {
    /// Keys with their lines.
    Table(Vec<(String, usize, Node)>),
    /// Entries with their lines.
    List(Vec<(usize, Node)>),
    /// Anything else.
    Leaf,
}

/// The text is no TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syntax {
    /// The line.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl Places {
    /// Parses.
    pub fn of(text: &str) -> Result<Self, Syntax> {
        match Document::parse(text) {
            Ok(document) => Ok(Self { root: Reading::of(text).table(document.as_table()) }),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
                Err(Syntax { line: Reading::of(text).line(at), what })
            }
        }
    }

    /// The line of a key; where it is missing, of the nearest thing above it that is there.
    pub fn line(&self, path: &KeyPath) -> Option<usize> {
        let (mut node, mut found) = (&self.root, None);
        for step in &path.0 {
            let below = match (step, node) {
                (Step::Key(key), Node::Table(entries)) => {
                    let entry = entries.iter().find(|(name, _, _)| name == key);
                    entry.map(|(_, line, below)| (*line, below))
                }
                (Step::Index(index), Node::List(entries)) => {
                    entries.get(*index).map(|(line, below)| (*line, below))
                }
                (Step::Key(_), Node::List(_) | Node::Leaf)
                | (Step::Index(_), Node::Table(_) | Node::Leaf) => None,
            };
            let Some((line, below)) = below else { break };
            (node, found) = (below, Some(line));
        }
        found
    }
}

/// Where the lines end: looked up for each key, which by counting anew would take the square of a long file.
struct Reading(Vec<usize>);

impl Reading {
    fn of(text: &str) -> Self {
        Self(
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect(),
        )
    }

    /// The line of a byte, from 1.
    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }

    fn start(&self, span: Option<std::ops::Range<usize>>) -> usize {
        span.map_or(0, |span| self.line(span.start))
    }

    fn table(&self, table: &dyn TableLike) -> Node {
        let entry = |(name, item): (&str, &Item)| {
            let key = table.key(name).and_then(toml_edit::Key::span);
            (name.to_owned(), self.start(key.or_else(|| item.span())), self.item(item))
        };
        Node::Table(table.iter().map(entry).collect())
    }

    fn item(&self, item: &Item) -> Node {
        match item {
            Item::None => Node::Leaf,
            Item::Value(value) => self.value(value),
            Item::Table(table) => self.table(table),
            Item::ArrayOfTables(tables) => {
                let entry =
                    |table: &toml_edit::Table| (self.start(table.span()), self.table(table));
                Node::List(tables.iter().map(entry).collect())
            }
        }
    }

    fn value(&self, value: &Value) -> Node {
        match value {
            Value::Array(array) => {
                let entry = |value: &Value| (self.start(value.span()), self.value(value));
                Node::List(array.iter().map(entry).collect())
            }
            Value::InlineTable(table) => self.table(table),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => Node::Leaf,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyPath, Places};

    #[test]
    fn every_way_of_writing_a_key_has_its_line() {
        let text = "listen = [\n  \"a\",\n  \"b\",\n]\n[upstreams.x]\nendpoints = [\"e\"]\npool.idle = 3\n\n[[routes]]\nname = \"one\"\n[[routes]]\nname = \"two\"\ntimeouts = { connect = \"1s\",\n total = \"2s\" }\n[routes.limits]\nbody = \"1B\"\n";
        let places = Places::of(text).unwrap();
        for (path, line) in [
            ("listen", Some(1)),
            ("listen[1]", Some(3)),
            ("upstreams.x.endpoints[0]", Some(6)),
            ("upstreams.x.pool.idle", Some(7)),
            ("routes[0]", Some(9)),
            ("routes[1].name", Some(12)),
            ("routes[1].timeouts.total", Some(14)),
            ("routes[1].limits.body", Some(16)),
            ("routes[1].weight", Some(11)),
            ("nowhere", None),
        ] {
            assert_eq!(places.line(&KeyPath::parse(path)), line, "{path}");
        }
    }

    #[test]
    fn what_is_no_toml_has_its_line_too() {
        assert_eq!(Places::of("a = 1\nb = \n").unwrap_err().line, 2);
        assert_eq!(Places::of("a = 1\na = 2\n").unwrap_err().line, 2);
    }
}
