//! Texts with holes for what a request has: `/api/{sku}`, `https://{host}{path}`.

use super::{
    Facts,
    pattern::{PathPattern, bare_host},
};

/// A text with holes. Made once from the configuration, filled per request without a search by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// The value of a parameter of the path, by its name.
    Parameter(Box<str>),
    Path,
    Host,
    /// The query with its `?`, or nothing.
    Query,
}

/// The text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its other one.
    #[error("`{0}` has a brace without its other one")]
    Brace(String),
    /// A hole that nothing fills.
    #[error(
        "nothing fills `{{{name}}}`: there are {{path}}, {{query}}, {{host}} and the parameters of every path of the route"
    )]
    Unknown {
        /// What it asks for.
        name: String,
    },
    /// A character that neither a path nor a URL may have.
    #[error("`{0}` has a character that must be percent-encoded")]
    Character(String),
}

impl Template {
    /// Reads a template whose holes are `{path}`, `{query}`, `{host}` or parameters that *each* of the patterns has.
    pub fn parse(text: &str, patterns: &[PathPattern]) -> Result<Self, TemplateError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TemplateError::Character(text.to_owned()));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let brace = || TemplateError::Brace(text.to_owned());
            let (name, after) = after.split_once('}').ok_or_else(brace)?;
            push_text(&mut pieces, before, text)?;
            let name = name.strip_prefix('*').unwrap_or(name);
            let everywhere = !patterns.is_empty()
                && patterns.iter().all(|pattern| pattern.parameters().any(|found| found == name));
            pieces.push(match name {
                _ if everywhere => Piece::Parameter(name.into()),
                "path" => Piece::Path,
                "host" => Piece::Host,
                "query" => Piece::Query,
                _ => return Err(TemplateError::Unknown { name: name.to_owned() }),
            });
            rest = after;
        }
        push_text(&mut pieces, rest, text)?;
        Ok(Self { pieces: pieces.into() })
    }

    /// Can a parameter of the path say which host this URL means, as in `https://new.example{rest}` or
    /// `https://new.example:{x}/`? One before a fixed end, `{tenant}.new.example`, cannot: it has no slash.
    pub fn may_change_host(&self) -> bool {
        let (mut in_authority, mut ends_it) = (false, false);
        for piece in &self.pieces {
            let text = match piece {
                Piece::Text(text) if in_authority => text,
                Piece::Text(text) => match text.split_once("://") {
                    Some((_, rest)) => rest,
                    None => return false,
                },
                Piece::Parameter(_) => {
                    ends_it = true;
                    continue;
                }
                // The client's own word for where it is.
                Piece::Host => {
                    ends_it = false;
                    continue;
                }
                // These begin with `/` and `?`.
                Piece::Path | Piece::Query => return ends_it,
            };
            in_authority = true;
            let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
            // A port behind it does not make it another host.
            ends_it &= authority.split(':').next().unwrap_or_default().is_empty();
            if authority.len() < text.len() {
                return ends_it;
            }
        }
        ends_it
    }

    /// Appends the text for a request that one of the route's patterns has matched.
    pub fn fill(&self, facts: &Facts<'_>, patterns: &[PathPattern], out: &mut Vec<u8>) {
        let pattern = patterns.iter().find(|pattern| pattern.matches(facts.path));
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Path => out.extend_from_slice(facts.path),
                Piece::Host => out.extend_from_slice(bare_host(facts.host)),
                Piece::Query if facts.query.is_empty() => {}
                Piece::Query => {
                    out.push(b'?');
                    out.extend_from_slice(facts.query);
                }
                Piece::Parameter(name) => {
                    let Some(pattern) = pattern else { continue };
                    let mut names = pattern.parameters();
                    pattern.captures(facts.path, &mut |value| {
                        if names.next() == Some(name) {
                            out.extend_from_slice(value);
                        }
                    });
                }
            }
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, whole: &str) -> Result<(), TemplateError> {
    if text.contains('}') {
        return Err(TemplateError::Brace(whole.to_owned()));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Facts, PathPattern, Template};

    fn filled(template: &str, pattern: &str, path: &str, query: &str) -> String {
        let patterns = [PathPattern::parse(pattern).unwrap()];
        let template = Template::parse(template, &patterns).unwrap();
        let headers: Vec<(String, String)> = Vec::new();
        let facts = Facts {
            method: b"GET",
            host: b"Shop.example:81",
            path: path.as_bytes(),
            query: query.as_bytes(),
            client: None,
            headers: &headers,
        };
        let mut out = Vec::new();
        template.fill(&facts, &patterns, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn holes_are_filled_from_the_request() {
        assert_eq!(filled("/api/{sku}/x", "/v1/stock/{sku}", "/v1/stock/7", ""), "/api/7/x");
        assert_eq!(filled("/new/{*rest}", "/old/{*rest}", "/old/a/b", ""), "/new/a/b");
        assert_eq!(
            filled("https://{host}{path}{query}", "/{*rest}", "/a", "b=1"),
            "https://Shop.example/a?b=1"
        );
        assert_eq!(filled("{path}{query}", "/{*rest}", "/a", ""), "/a");
    }

    #[test]
    fn holes_that_nothing_fills_are_refused() {
        let patterns =
            [PathPattern::parse("/a/{x}").unwrap(), PathPattern::parse("/b/{y}").unwrap()];
        for text in ["/{x}", "/{y}", "/{", "/}", "/{x", "/é", "/a b"] {
            assert!(Template::parse(text, &patterns).is_err(), "{text}");
        }
        assert!(Template::parse("/{x}", &patterns[..1]).is_ok());
    }
}
