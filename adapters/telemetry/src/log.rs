//! Logs: one line an event, as JSON or for eyes, with the fields of the request around it; the level can be changed
//! while the process runs.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use tracing::{Subscriber, field::Field, span};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use crate::log_line::{Fields, Line};

/// How logs look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For eyes.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// How logs look.
    pub format: LogFormat,
    /// What is logged: `info`, or by target, `info,store=debug,access=warn`.
    pub level: String,
}

impl Default for Logging {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

/// Logs cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error("`{level}` is no log level (such as `info` or `info,store=debug`)")]
    Level {
        /// What was given.
        level: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A word stands alone that is no level.
    #[error(
        "`{word}` is no log level: it must be off, error, warn, info, debug or trace, or a target with one, `{word}=debug`"
    )]
    NoLevel {
        /// The word.
        word: String,
    },
    /// Logs were set up before in this process.
    #[error("logs are set up already")]
    Twice,
    /// The process is ending.
    #[error("logs are gone")]
    Gone,
}

/// The way to change the level while the process runs. Clones share it.
#[derive(Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Logging {
    /// Sets logs up for the whole process, on standard error: standard output is for what was asked for.
    pub fn start(&self) -> Result<LogHandle, LogError> {
        let json = match self.format {
            LogFormat::Auto => !io::stderr().is_terminal(),
            LogFormat::Pretty => false,
            LogFormat::Json => true,
        };
        let colours = !json && io::stderr().is_terminal();
        let patient = Impatient::default();
        let lines = Lines {
            json,
            colours,
            out: Arc::new(move |line| patient.write(io::stderr().lock(), line)),
        };
        let (filter, handle) = reload::Layer::new(filter(&self.level)?);
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init()
            .map_err(|_twice| LogError::Twice)?;
        Ok(LogHandle { filter: handle })
    }
}

impl LogHandle {
    /// What is logged now.
    pub fn level(&self) -> Result<String, LogError> {
        self.filter.with_current(ToString::to_string).map_err(|_gone| LogError::Gone)
    }

    /// Changes what is logged, from now on and everywhere.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        self.filter.reload(filter(level)?).map_err(|_gone| LogError::Gone)?;
        tracing::info!(level, "the log level was changed");
        Ok(())
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogHandle")
    }
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    // A word alone would be taken for a target at every level: a mistyped level would silence all the others.
    let mut words = level.split(',').map(str::trim).filter(|_| !level.contains('['));
    let no_level = |word: &&str| !word.contains('=') && word.parse::<LevelFilter>().is_err();
    if let Some(word) = words.find(no_level) {
        return Err(LogError::NoLevel { word: word.to_owned() });
    }
    EnvFilter::try_new(level).map_err(|source| LogError::Level { level: level.to_owned(), source })
}

type Out = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// What a pipe takes at once when it says that it takes anything.
const PIECE_BYTES: usize = 4096;

/// Writes lines and never waits: whoever reads standard error may have stopped, and a line of the log is worth less than
/// the request behind it. What is left out is counted, and said with the next line.
#[derive(Default)]
struct Impatient {
    left_out: AtomicU64,
}

impl Impatient {
    fn write(&self, mut out: impl Write + std::os::fd::AsFd, line: &[u8]) -> io::Result<()> {
        if !takes_more(&out) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            writeln!(out, "{{\"left_out\":{left_out}}}")?;
        }
        for piece in line.chunks(PIECE_BYTES) {
            if !takes_more(&out) {
                return Ok(());
            }
            out.write_all(piece)?;
        }
        Ok(())
    }
}

/// Can it be written to without waiting? A file always can; of a pipe the other side may not have read.
fn takes_more(out: &impl std::os::fd::AsFd) -> bool {
    let mut asked = [PollFd::new(out, PollFlags::OUT)];
    // Where the system does not say, the write itself will.
    poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).map_or(true, |ready| ready > 0)
}

/// Writes each event as one line, in one call, so that lines of several threads never mix.
struct Lines {
    json: bool,
    colours: bool,
    out: Out,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Line::new(event.metadata(), fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                line.around(around);
            }
        }
        let text = if self.json { line.json() } else { line.pretty(self.colours) };
        // Nowhere is left to say that standard error is gone.
        drop((self.out)(text.as_bytes()));
    }
}

/// Is this a field whose value must not be logged, whoever writes it?
pub(crate) fn is_secret(field: &Field) -> bool {
    const SECRET: [&str; 6] =
        ["secret", "password", "token", "authorization", "credential", "cookie"];
    SECRET.iter().any(|word| field.name().contains(word))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        os::unix::net::UnixStream,
        sync::{Arc, Mutex},
    };

    use super::Impatient;

    #[test]
    fn a_line_that_nobody_reads_is_left_out_and_counted() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let lines = Impatient::default();
        let line = [b"a".repeat(9_000), b"\n".to_vec()].concat();
        // More than any buffer between the two has room for; each of these would wait for ever.
        for _ in 0..2000 {
            lines.write(&near, &line).unwrap();
        }
        far.set_nonblocking(true).unwrap();
        let mut read = Vec::new();
        assert!(far.read_to_end(&mut read).is_err(), "the rest is not there");
        lines.write(&near, b"the next\n").unwrap();
        drop(near);
        let mut read = String::new();
        far.read_to_string(&mut read).unwrap();
        let (first, last) = read.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(last, "the next");
        assert!(first.ends_with('}') && first.contains("{\"left_out\":"), "{}", first.len());
    }

    use tracing_subscriber::layer::SubscriberExt;

    use super::{Lines, LogHandle, filter};

    /// What `work` logs, line by line.
    fn logged(json: bool, level: &str, work: impl FnOnce(&LogHandle)) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let out = Arc::new(move |line: &[u8]| {
            sink.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        });
        let (filter, handle) = tracing_subscriber::reload::Layer::new(filter(level).unwrap());
        let layer = Lines { json, colours: false, out };
        let subscriber = tracing_subscriber::registry().with(filter).with(layer);
        tracing::subscriber::with_default(subscriber, || work(&LogHandle { filter: handle }));
        let lines = lines.lock().unwrap();
        lines.clone()
    }

    fn work(_: &LogHandle) {
        let request =
            tracing::info_span!("request", request_id = "r1", module = tracing::field::Empty);
        let _in_request = request.enter();
        request.record("module", "inventory");
        let _in_step = tracing::info_span!("step", step = 2).entered();
        tracing::info!(sku = "85123A", api_token = "hush", "reserved {}", 3);
    }

    #[test]
    fn json_has_the_fields_of_all_spans_and_no_secret() {
        let lines = logged(true, "info", work);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        for (name, value) in [
            ("level", "INFO"),
            ("message", "reserved 3"),
            ("request_id", "r1"),
            ("module", "inventory"),
            ("sku", "85123A"),
            ("api_token", "********"),
        ] {
            assert_eq!(line[name], value, "{line}");
        }
        assert_eq!(line["step"], 2);
        assert!(lines[0].ends_with('\n') && !lines[0].contains("hush"));
    }

    #[test]
    fn pretty_is_one_line() {
        let lines = logged(false, "info", work);
        assert!(lines[0].contains("reserved 3") && lines[0].contains("request_id=r1"), "{lines:?}");
        assert_eq!(lines[0].matches('\n').count(), 1);
        assert!(!lines[0].contains("hush"));
    }

    #[test]
    fn the_level_changes_while_it_runs() {
        let lines = logged(true, "info", |handle| {
            tracing::debug!("unheard");
            handle.set_level("debug").unwrap();
            assert_eq!(handle.level().unwrap(), "debug");
            tracing::debug!("heard");
            for none in ["info,=", "loud", "inof,store=debug"] {
                assert!(handle.set_level(none).is_err(), "{none}");
            }
        });
        assert!(lines.iter().any(|line| line.contains("\"heard\"")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("unheard")), "{lines:?}");
    }

    #[test]
    fn a_line_feed_in_a_value_forges_no_line() {
        let lines =
            logged(false, "info", |_| tracing::info!(path = "/a\nERROR forged", "seen\nERROR too"));
        assert_eq!(lines[0].matches('\n').count(), 1, "{lines:?}");
    }
}
