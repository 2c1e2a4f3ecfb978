//! The command line's way to a running proxy: its admin API, whose address and token stand in the configuration.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Serialize, de::DeserializeOwned};

use super::arguments::PlaceArgs;
use crate::{
    config::{AdminPlace, Loaded, Source, load},
    steer::{admin::Status, token},
};

/// The file where none is named.
const FILE: &str = "strangler-proxy.toml";

/// Who does not accept a connection on the same machine in this time is away.
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// A toggle is a few writes to the disk; a park may wait for requests to end.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// The largest answer: the figures of thousands of routes fit.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The file that is meant.
pub fn file(place: &PlaceArgs) -> PathBuf {
    place.config.clone().unwrap_or_else(|| FILE.into())
}

/// The source that is meant.
pub fn source(place: &PlaceArgs) -> Source {
    Source::file(file(place))
}

/// Who runs this command.
pub fn who() -> String {
    settings::variable("SUDO_USER")
        .or_else(|| settings::variable("USER"))
        .unwrap_or_else(|| "somebody".to_owned())
}

/// A proxy that runs.
pub struct Client {
    address: SocketAddr,
    token: String,
}

/// An answer.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Client {
    /// The proxy that runs by this configuration; nothing where none does.
    pub fn reach(loaded: &Loaded, file: &Path) -> Result<Option<Self>> {
        let Some(place) = &loaded.snapshot.admin else { return Ok(None) };
        let Some(client) = Self::at(place)? else { return Ok(None) };
        let status: Status = client.ask("GET", "/status", None, &())?;
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let same = status.file.as_deref().and_then(real) == real(file);
        ensure!(
            same,
            "the proxy at {} runs by {}, not by {}: name that with --config, or give this one another `admin.listen`",
            place.listen,
            status.file.map_or_else(|| "no file".to_owned(), |path| path.display().to_string()),
            file.display()
        );
        Ok(Some(client))
    }

    fn at(place: &AdminPlace) -> Result<Option<Self>> {
        if TcpStream::connect_timeout(&place.listen, CONNECT_TIME).is_err() {
            return Ok(None);
        }
        let shown = place.token_file.display();
        let token = token::known(place)
            .with_context(|| format!("cannot read the admin token from {shown}"))?;
        let token = token.ok_or_else(|| {
            anyhow!("something answers at {}, but there is no admin token in {shown}: is it this proxy?", place.listen)
        })?;
        Ok(Some(Self { address: place.listen, token }))
    }

    /// Asks; anything but success is an error that says what the proxy said.
    pub fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        version: Option<&str>,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_value(body)?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.exchange(method, path, version, &body)?;
        ensure!((200..300).contains(&answer.status), "{}", problem(&answer));
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// One request on one connection: a command asks once and ends.
    fn exchange(
        &self,
        method: &str,
        path: &str,
        version: Option<&str>,
        body: &str,
    ) -> Result<Answer> {
        let away = || format!("no answer from the admin API at {}", self.address);
        let mut stream =
            TcpStream::connect_timeout(&self.address, CONNECT_TIME).with_context(away)?;
        stream.set_read_timeout(Some(ANSWER_TIME))?;
        stream.set_write_timeout(Some(ANSWER_TIME))?;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.address,
            self.token,
            body.len()
        );
        if let Some(version) = version {
            request.push_str(&format!("If-Match: \"{version}\"\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        stream.write_all(request.as_bytes()).with_context(away)?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).with_context(away)?;
        parse(&bytes).with_context(away)
    }
}

/// What our own admin API sends: a length, never chunks.
fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").context("it is cut short")?;
    let (head, body) = bytes.split_at_checked(end + 4).context("it is cut short")?;
    let head = std::str::from_utf8(head).context("it is no HTTP")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if length.is_some_and(|length| length != body.len()) {
        bail!("it is cut short");
    }
    Ok(Answer { status: status.context("it is no HTTP")?, body: body.to_vec() })
}

/// What a problem document says.
fn problem(answer: &Answer) -> String {
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |name| document.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let mut lines = match (text("detail"), text("title")) {
        ("", "") => format!("the proxy said {}", answer.status),
        ("", title) => title.to_owned(),
        (detail, _) => detail.to_owned(),
    };
    for error in document.get("errors").and_then(serde_json::Value::as_array).into_iter().flatten()
    {
        let detail = error.get("detail").and_then(serde_json::Value::as_str).unwrap_or_default();
        lines.push_str("\n  ");
        lines.push_str(detail);
    }
    lines
}

/// The configuration, and the proxy that runs by it where one does.
pub fn open(place: &PlaceArgs) -> Result<(Source, Loaded, Option<Client>)> {
    let source = source(place);
    let loaded = load(&source).with_context(|| missing(place))?;
    let client = Client::reach(&loaded, &file(place))?;
    Ok((source, loaded, client))
}

fn missing(place: &PlaceArgs) -> String {
    match &place.config {
        Some(path) => format!("the configuration {}", path.display()),
        None => format!("the configuration ./{FILE} (name another with --config)"),
    }
}
