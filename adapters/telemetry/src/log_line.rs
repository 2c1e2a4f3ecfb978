//! One line of a log: its fields, and how they are written.

use std::fmt::{self, Write};

use kernel_api::Timestamp;
use serde_json::Value;
use tracing::{
    Level, Metadata,
    field::{Field, Visit},
};

use crate::log::is_secret;

/// The room for a line to begin with: a request's line is a little shorter.
const LINE_LENGTH_USUAL: usize = 512;

/// What stands in a secret's place.
const MASK: &str = "********";

/// The fields of a span or an event. A later value of a field replaces the earlier one.
#[derive(Default)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let value = if is_secret(field) { MASK.into() } else { value };
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, known)) => *known = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_u128(&mut self, field: &Field, value: u128) {
        // JSON numbers of other readers end at 2^53; what does not fit 64 bits goes as text.
        self.put(field, u64::try_from(value).map_or_else(|_| value.to_string().into(), Into::into));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        // With its causes, which Display leaves out by rule.
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put(field, text.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

/// An event with the fields of the spans around it.
pub(crate) struct Line<'a> {
    metadata: &'a Metadata<'a>,
    at: Timestamp,
    fields: Fields,
}

impl<'a> Line<'a> {
    pub fn new(metadata: &'a Metadata<'a>, fields: Fields) -> Self {
        Self { metadata, at: Timestamp::now(), fields }
    }

    /// Adds the fields of a span around it; the inner one's stand.
    pub fn around(&mut self, span: &Fields) {
        for (name, value) in &span.0 {
            if !self.fields.0.iter().any(|(known, _)| known == name) {
                self.fields.0.push((name, value.clone()));
            }
        }
    }

    pub fn json(self) -> String {
        let mut line = String::with_capacity(LINE_LENGTH_USUAL);
        // Written by hand and not as a map: every request has a line, and a map of it costs more than the line.
        let (at, level, target) = (self.at, self.metadata.level(), self.metadata.target());
        put(
            &mut line,
            format_args!(r#"{{"timestamp":"{at}","level":"{level}","target":"{target}""#),
        );
        for (name, value) in &self.fields.0 {
            // Names and targets are identifiers in our own source, so only values need escapes.
            put(&mut line, format_args!(r#","{name}":{value}"#));
        }
        line.push_str("}\n");
        line
    }

    pub fn pretty(self, colours: bool) -> String {
        let paint = |code: &'static str| if colours { code } else { "" };
        let level = match *self.metadata.level() {
            Level::ERROR => paint("\x1b[31m"),
            Level::WARN => paint("\x1b[33m"),
            Level::INFO => paint("\x1b[32m"),
            Level::DEBUG | Level::TRACE => paint("\x1b[34m"),
        };
        let (dim, reset) = (paint("\x1b[2m"), paint("\x1b[0m"));
        let mut line = format!(
            "{dim}{}{reset} {level}{:>5}{reset} {dim}{}{reset}",
            self.at,
            self.metadata.level(),
            self.metadata.target()
        );
        let message = self.fields.0.iter().find(|(name, _)| *name == "message");
        if let Some((_, message)) = message {
            line.push(' ');
            escape(&mut line, message);
        }
        for (name, value) in self.fields.0.iter().filter(|(name, _)| *name != "message") {
            put(&mut line, format_args!(" {dim}{name}={reset}"));
            escape(&mut line, value);
        }
        line.push('\n');
        line
    }
}

/// Writes a value without control characters: nobody's input may look like a line of ours, or colour it.
fn escape(line: &mut String, value: &Value) {
    match value {
        Value::String(text) => {
            for c in text.chars() {
                if c.is_control() {
                    line.extend(c.escape_default());
                } else {
                    line.push(c);
                }
            }
        }
        other => put(line, format_args!("{other}")),
    }
}

fn put(line: &mut String, text: fmt::Arguments<'_>) {
    let written = line.write_fmt(text);
    debug_assert!(written.is_ok(), "a String takes everything");
}
