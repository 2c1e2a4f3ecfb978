//! Reads the corpus: cases as text, one file per subject. `README.md` beside this file describes the format.

use std::{fs, path::Path};

/// One case.
#[derive(Debug, Default)]
pub struct Case {
    /// `file/name`.
    pub name: String,
    /// The section of an RFC, or `house`.
    pub section: String,
    /// Settings, without the `@`.
    pub settings: Vec<String>,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// What comes of each message in the bytes.
    pub outcomes: Vec<Outcome>,
}

/// What comes of one message.
#[derive(Debug)]
pub struct Outcome {
    /// What the proxy does.
    pub kind: Kind,
    /// Statuses with which any server may answer instead; `pass` stands as 0.
    pub or: Vec<u16>,
    /// What is seen on the other side: a word and its text.
    pub checks: Vec<(String, Vec<u8>)>,
}

/// What the proxy does with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It reaches the other side.
    Pass,
    /// It is refused for one of these causes.
    Refuse(Vec<String>),
    /// It is answered by the proxy itself.
    Final,
    /// More bytes are awaited.
    Partial,
}

/// Every case of the files in `folder`, in the order of their names.
pub fn read(folder: &Path) -> Vec<Case> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "txt")) {
        let subject = file.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(file).expect("the corpus is text");
        for (number, line) in text.lines().enumerate() {
            add(&mut cases, subject, line)
                .unwrap_or_else(|| panic!("{}:{}: {line}", file.display(), number + 1));
        }
    }
    cases
}

fn add(cases: &mut Vec<Case>, subject: &str, line: &str) -> Option<()> {
    if line.is_empty() || line == "#" || line.starts_with("# ") {
        return Some(());
    }
    if let Some(title) = line.strip_prefix("## ") {
        let (name, section) = title.split_once("  ")?;
        let name = format!("{subject}/{name}");
        assert!(cases.iter().all(|case| case.name != name), "{name} is there twice");
        cases.push(Case { name, section: section.to_owned(), ..Case::default() });
        return Some(());
    }
    let case = cases.last_mut()?;
    let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
    match sign {
        "@" => case.settings.push(rest.to_owned()),
        ">" => {
            case.bytes.extend(unescape(rest)?);
            case.bytes.extend(b"\r\n");
        }
        ">>" => case.bytes.extend(unescape(rest)?),
        "=" => outcome(case, rest)?,
        "~" => {
            let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
            case.outcomes.last_mut()?.checks.push((word.to_owned(), unescape(text)?));
        }
        _ => return None,
    }
    Some(())
}

fn outcome(case: &mut Case, text: &str) -> Option<()> {
    let mut words = text.split(' ');
    let kind = match words.next()? {
        "pass" => Kind::Pass,
        "partial" => Kind::Partial,
        "final" => Kind::Final,
        "refuse" => {
            let (statuses, causes): (Vec<&str>, Vec<&str>) =
                words.clone().partition(|word| word.parse::<u16>().is_ok());
            let or = statuses.iter().filter_map(|status| status.parse().ok()).collect();
            let causes = causes.into_iter().map(str::to_owned).collect();
            case.outcomes.push(Outcome { kind: Kind::Refuse(causes), or, checks: Vec::new() });
            return Some(());
        }
        "or" => {
            for word in words {
                let status = if word == "pass" { 0 } else { word.parse().ok()? };
                case.outcomes.last_mut()?.or.push(status);
            }
            return Some(());
        }
        _ => return None,
    };
    case.outcomes.push(Outcome { kind, or: Vec::new(), checks: Vec::new() });
    Some(())
}

/// `\r`, `\n`, `\t`, `\\`, `\xNN` and `\{count*text}`.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let used = match escape.as_bytes().first()? {
            b'r' => push(&mut out, b'\r'),
            b'n' => push(&mut out, b'\n'),
            b't' => push(&mut out, b'\t'),
            b'\\' => push(&mut out, b'\\'),
            b'x' => {
                out.push(u8::from_str_radix(escape.get(1..3)?, 16).ok()?);
                3
            }
            b'{' => {
                let end = escape.find('}')?;
                let (count, repeated) = escape.get(1..end)?.split_once('*')?;
                out.extend(unescape(repeated)?.repeat(count.parse().ok()?));
                end + 1
            }
            _ => return None,
        };
        rest = &escape[used..];
    }
    out.extend(rest.as_bytes());
    Some(out)
}

fn push(out: &mut Vec<u8>, byte: u8) -> usize {
    out.push(byte);
    1
}
