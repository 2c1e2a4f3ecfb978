//! A contract as data: the JSON Schema of every method and the hashes by which two processes know each other.

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{Contract, Kind, Method, Visitor, binding::Context};

/// Everything about a contract that another process, in any language, needs to know.
#[derive(Debug, Clone, Serialize)]
pub struct Descriptor {
    /// The module.
    pub module: &'static str,
    /// SHA-256 over the methods' names and hashes, in hex.
    pub hash: String,
    /// The methods, in the trait's order.
    pub methods: Vec<MethodDescriptor>,
}

/// One method of a contract.
#[derive(Debug, Clone, Serialize)]
pub struct MethodDescriptor {
    /// Its name.
    pub name: &'static str,
    /// Query or command.
    pub kind: Kind,
    /// Its doc comment.
    pub summary: &'static str,
    /// The name of its one parameter.
    pub argument: &'static str,
    /// The JSON Schema of the parameter.
    pub params: Value,
    /// The JSON Schema of the answer.
    pub result: Value,
    /// The JSON Schema of the refusal.
    pub refusal: Value,
    /// SHA-256 over all of the above except what is only text for people, in hex.
    pub hash: String,
}

/// What two processes show each other before the first call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The module.
    pub module: String,
    /// The whole contract's hash.
    pub hash: String,
    /// Each method's hash.
    pub methods: BTreeMap<String, String>,
}

impl Descriptor {
    /// The descriptor of a contract. It is computed anew: keep it.
    pub fn of<C: Contract + ?Sized>() -> Self {
        let mut described = Described(Vec::new());
        C::methods(&mut described);
        let methods = described.0;
        let names = methods.iter().map(|method| (method.name, Value::from(method.hash.as_str())));
        let hash = hash(&names.map(|(name, hash)| (name.to_owned(), hash)).collect::<Value>());
        Self { module: C::MODULE, hash, methods }
    }

    /// The method of this name.
    pub fn method(&self, name: &str) -> Option<&MethodDescriptor> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// What this side shows the other.
    pub fn handshake(&self) -> Handshake {
        let hashes =
            self.methods.iter().map(|method| (method.name.to_owned(), method.hash.clone()));
        Handshake {
            module: self.module.to_owned(),
            hash: self.hash.clone(),
            methods: hashes.collect(),
        }
    }
}

impl Handshake {
    /// The methods that both know but not in the same form. A method that only one knows does not stand in the way of
    /// the others: it is refused when it is called.
    pub fn differing(&self, theirs: &Self) -> Vec<String> {
        let differs = |(name, hash): &(&String, &String)| {
            theirs.methods.get(*name).is_some_and(|theirs| theirs != *hash)
        };
        self.methods.iter().filter(differs).map(|(name, _)| name.clone()).collect()
    }
}

struct Described(Vec<MethodDescriptor>);

impl<C: ?Sized> Visitor<C> for Described {
    fn method<M: Method<C>>(&mut self) {
        let mut method = MethodDescriptor {
            name: M::NAME,
            kind: M::Context::KIND,
            summary: M::SUMMARY,
            argument: M::ARGUMENT,
            params: schema::<M::Argument>(Side::Reads),
            result: schema::<M::Answer>(Side::Writes),
            refusal: schema::<M::Refusal>(Side::Writes),
            hash: String::new(),
        };
        method.hash = hash(&serde_json::json!({
            "name": method.name,
            "kind": method.kind,
            "argument": method.argument,
            "params": essence(&method.params),
            "result": essence(&method.result),
            "refusal": essence(&method.refusal),
        }));
        self.0.push(method);
    }
}

/// Which end of the wire the module is at.
enum Side {
    Reads,
    Writes,
}

/// Schemas are inlined, so that renaming a Rust type changes no hash.
fn schema<T: JsonSchema>(side: Side) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = match side {
        Side::Reads => settings.for_deserialize(),
        Side::Writes => settings.for_serialize(),
    };
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema without what is only text for people.
fn essence(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members.iter().filter(|(key, value)| !is_text(key, value));
            alternatives(
                kept.map(|(key, value)| (key.clone(), member_essence(key, value))).collect(),
            )
        }
        Value::Array(schemas) => schemas.iter().map(essence).collect(),
        other => other.clone(),
    }
}

fn is_text(key: &str, value: &Value) -> bool {
    matches!(key, "title" | "description" | "$schema" | "$comment") && value.is_string()
        || key == "examples"
}

fn member_essence(key: &str, value: &Value) -> Value {
    match (key, value) {
        // Here the keys are names of properties: one may be called `title`.
        ("properties" | "patternProperties" | "$defs", Value::Object(named)) => {
            named.iter().map(|(name, schema)| (name.clone(), essence(schema))).collect()
        }
        // Sets, whatever their order: of names, of values, of schemas.
        ("required" | "enum" | "type", Value::Array(values)) => sorted(values.clone()),
        ("anyOf" | "allOf", Value::Array(schemas)) => sorted(schemas.iter().map(essence).collect()),
        ("oneOf", Value::Array(schemas)) => {
            sorted(schemas.iter().map(essence).flat_map(each_alternative).collect())
        }
        // Here stand values, not schemas.
        ("const" | "enum" | "default", values) => values.clone(),
        (_, schema) => essence(schema),
    }
}

/// An enumeration as one alternative per value. Variants without a doc comment are written as one enumeration, those
/// with one each by itself: a comment changes no hash.
fn alternatives(mut schema: Map<String, Value>) -> Value {
    let Some(values) = schema.remove("enum") else { return schema.into() };
    let alone = |value: &Value| {
        let value = ("const".to_owned(), value.clone());
        schema.clone().into_iter().chain([value]).collect::<Value>()
    };
    let values = values.as_array().map_or(&[] as &[_], Vec::as_slice);
    serde_json::json!({ "oneOf": sorted(values.iter().map(alone).collect()) })
}

fn each_alternative(schema: Value) -> Vec<Value> {
    match schema.as_object().and_then(|members| members.get("oneOf")?.as_array()) {
        Some(alternatives) if schema.as_object().is_some_and(|members| members.len() == 1) => {
            alternatives.clone()
        }
        _ => vec![schema],
    }
}

fn sorted(mut values: Vec<Value>) -> Value {
    values.sort_by_cached_key(canonical);
    Value::Array(values)
}

fn hash(value: &Value) -> String {
    hex(&Sha256::digest(canonical(value).as_bytes()))
}

fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

/// JSON without spaces and with sorted keys, whatever map `serde_json` was built with.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            text.push('{');
            for (position, (key, value)) in sorted.into_iter().enumerate() {
                text.push_str(if position == 0 { "" } else { "," });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for (position, value) in values.iter().enumerate() {
                text.push_str(if position == 0 { "" } else { "," });
                write_canonical(value, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::{Side, essence, hash, schema};

    fn hash_of<T: JsonSchema>() -> String {
        hash(&essence(&schema::<T>(Side::Reads)))
    }

    mod one {
        /// A book.
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        pub(super) struct Book {
            /// What it is called.
            pub(super) title: String,
            pub(super) pages: u32,
        }

        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        pub(super) enum Way {
            Road,
            /// By train.
            Rail,
            Sea {
                ship: String,
            },
        }
    }

    mod two {
        #[derive(schemars::JsonSchema)]
        #[schemars(rename = "Volume")]
        #[expect(dead_code, reason = "only its schema is of interest")]
        pub(super) struct Book {
            pub(super) pages: u32,
            pub(super) title: String,
        }

        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        pub(super) struct Untitled {
            pub(super) pages: u32,
        }

        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        pub(super) enum Way {
            Sea { ship: String },
            Rail,
            Road,
        }
    }

    #[test]
    fn the_order_of_variants_and_properties_changes_no_hash() {
        assert_eq!(hash_of::<one::Way>(), hash_of::<two::Way>());
    }

    #[test]
    fn text_for_people_and_names_of_types_change_no_hash() {
        assert_eq!(hash_of::<one::Book>(), hash_of::<two::Book>());
    }

    #[test]
    fn a_property_called_title_counts() {
        assert_ne!(hash_of::<two::Book>(), hash_of::<two::Untitled>());
    }
}
