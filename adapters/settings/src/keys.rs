//! Keys: which there are, and which is meant.

use serde_json::Value;

/// How alike two keys must be to be suggested (Jaro-Winkler): a slip of the hand, not another word.
const ALIKE_MIN: f64 = 0.8;

/// The leaves of a document as `(a.b.c, value)`, in the order of the keys. Lists and empty tables are leaves.
pub(crate) fn leaves(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect(document, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(member, &path, found);
            }
        }
        Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_) => found.push((path.to_owned(), value.clone())),
    }
}

/// The keys that a configuration has, by its default value.
pub(crate) struct Known {
    leaves: Vec<(String, Value)>,
}

impl Known {
    pub fn of(defaults: &Value) -> Self {
        Self { leaves: leaves(defaults) }
    }

    /// Is this key one of them? Below an absent value or an empty table any key may be: the struct itself decides.
    pub fn has(&self, key: &str) -> bool {
        self.leaves.iter().any(|(known, value)| {
            let open = value.is_null()
                || value.as_object().is_some_and(|table| table.is_empty())
                || value.as_str() == Some(crate::MASK);
            known == key
                || (open
                    && key.strip_prefix(known.as_str()).is_some_and(|rest| rest.starts_with('.')))
        })
    }

    /// Is the key's default a list?
    pub fn is_list(&self, key: &str) -> bool {
        self.leaves.iter().any(|(known, value)| known == key && value.is_array())
    }

    /// The keys that a variable's name without its prefix may mean, `HTTP_KEEP_ALIVE` or `HTTP__KEEP_ALIVE`.
    pub fn meant_by(&self, name: &str) -> Vec<String> {
        let lower = name.to_ascii_lowercase();
        let plain = lower.trim_start_matches('_');
        let dotted = plain.replace("__", ".");
        if self.has(&dotted) {
            return vec![dotted];
        }
        let meant = |key: &&String| key.replace('.', "_") == plain;
        self.leaves.iter().map(|(key, _)| key).filter(meant).cloned().collect()
    }

    /// The nearest key, where one is near.
    pub fn nearest(&self, key: &str) -> Option<String> {
        let near = |known: &str| strsim::jaro_winkler(known, key);
        self.leaves
            .iter()
            .map(|(known, _)| (near(known), known))
            .filter(|(alike, _)| *alike >= ALIKE_MIN)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, known)| known.clone())
    }
}
