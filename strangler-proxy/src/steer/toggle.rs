//! A toggle as an edit of the file's text: two values change, and every comment, blank line and order stays.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, TableLike, Value};

use crate::route::{Stage, Weight};

/// What a route's toggle is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toggle {
    /// The stage.
    pub stage: Stage,
    /// The weight; as it stands where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}

/// The text is no toggle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a stage (off, shadow, canary, live, retired) nor a weight in percent (5, 0.25)"
)]
pub struct ToggleError(String);

/// A stage, or a weight: that of a canary.
impl FromStr for Toggle {
    type Err = ToggleError;
    fn from_str(text: &str) -> Result<Self, ToggleError> {
        if let Ok(stage) = text.parse() {
            return Ok(Self { stage, weight: None });
        }
        let weight = text.parse().map_err(|_bad| ToggleError(text.to_owned()))?;
        Ok(Self { stage: Stage::Canary, weight: Some(weight) })
    }
}

/// Why the text cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is no TOML.
    #[error("the file is not TOML any more: {0}")]
    Syntax(String),
    /// The route does not stand where it was.
    #[error("the route `{0}` is not in the file")]
    NoRoute(String),
}

/// Sets the toggle of each named route.
pub fn edit(text: &str, routes: &[&str], toggle: Toggle) -> Result<String, EditError> {
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| EditError::Syntax(error.message().to_owned()))?;
    for name in routes {
        let missing = || EditError::NoRoute((*name).to_owned());
        let table = find(&mut document, name).ok_or_else(missing)?;
        set(table, "stage", Value::from(toggle.stage.as_str()));
        if let Some(weight) = toggle.weight {
            set(table, "weight", value(weight));
        }
    }
    Ok(document.to_string())
}

/// The table of a route: `[[routes]]`, or an entry of `routes = [{ … }]`.
fn find<'d>(document: &'d mut DocumentMut, name: &str) -> Option<&'d mut dyn TableLike> {
    let is_named = |table: &dyn TableLike| {
        table.get("name").and_then(Item::as_str).is_some_and(|found| found == name)
    };
    match document.get_mut("routes")? {
        Item::ArrayOfTables(tables) => {
            let table = tables.iter_mut().find(|table| is_named(*table))?;
            Some(table)
        }
        Item::Value(Value::Array(array)) => {
            let mut tables = array.iter_mut().filter_map(Value::as_inline_table_mut);
            Some(tables.find(|table| is_named(*table))?)
        }
        Item::None | Item::Value(_) | Item::Table(_) => None,
    }
}

/// Replaces a value and keeps what stands around it, such as a comment on its line.
fn set(table: &mut dyn TableLike, key: &str, value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(place) => {
            let decor = place.decor().clone();
            *place = value;
            *place.decor_mut() = decor;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

fn value(weight: Weight) -> Value {
    let hundredths = weight.hundredths();
    if hundredths.is_multiple_of(100) {
        Value::from(i64::from(hundredths / 100))
    } else {
        Value::from(f64::from(hundredths) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{EditError, Toggle, edit};

    const FILE: &str = "# The shop.\nfrom = \"http://127.0.0.1:1\"\n\n# Stock first.\n[[routes]]\nname = \"stock\" # by team blue\npath = \"/v1/stock\"\nstage   =  \"off\"   # since Monday\n\n[routes.limits] # tight\nbody = \"1KiB\"\n\n[[routes]] # next\nname = \"orders\"\nweight = 0.5\nstage = \"canary\"\n";

    #[test]
    fn only_the_two_values_change() {
        let edited = edit(FILE, &["stock"], "2.5".parse().unwrap()).unwrap();
        let expected = FILE.replace(
            "stage   =  \"off\"   # since Monday\n",
            "stage   =  \"canary\"   # since Monday\nweight = 2.5\n",
        );
        assert_eq!(edited, expected);
        let edited = edit(FILE, &["orders"], "live".parse().unwrap()).unwrap();
        assert_eq!(edited, FILE.replace("stage = \"canary\"\n", "stage = \"live\"\n"));
        let edited = edit(FILE, &["orders"], "7".parse().unwrap()).unwrap();
        assert_eq!(edited, FILE.replace("weight = 0.5\n", "weight = 7\n"));
        assert_eq!(edit(FILE, &["orders"], "0.5".parse().unwrap()).unwrap(), FILE);
    }

    #[test]
    fn inline_routes_are_edited_too() {
        let file = "routes = [\n  { name = \"a\", path = \"/a\" }, # first\n  { name = \"b\", stage = \"off\" },\n]\n";
        let edited = edit(file, &["a", "b"], "live".parse().unwrap()).unwrap();
        let expected = "routes = [\n  { name = \"a\", path = \"/a\" , stage = \"live\" }, # first\n  { name = \"b\", stage = \"live\" },\n]\n";
        assert_eq!(edited.replace("\"/a\", stage", "\"/a\" , stage"), expected);
    }

    #[test]
    fn what_is_not_there_is_not_invented() {
        let toggle: Toggle = "off".parse().unwrap();
        assert_eq!(edit(FILE, &["nobody"], toggle), Err(EditError::NoRoute("nobody".into())));
        assert!(matches!(edit("a = ", &["a"], toggle), Err(EditError::Syntax(_))));
        assert!("up".parse::<Toggle>().is_err() && "101".parse::<Toggle>().is_err());
    }
}
