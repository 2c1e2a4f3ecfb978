//! The data directory: its lock, its secrets, and where the running server can be reached.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::secrets::{DeploymentSecret, OperatorToken};

const LOCK: &str = "lock";
const SERVER: &str = "server.json";
const DEPLOYMENT_SECRET: &str = "deployment.secret";
const OPERATOR_TOKEN: &str = "operator.token";

/// A data directory, which may be in use by a server.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// The right to use a data directory: held by one process at a time, given back when it ends, however it ends.
#[derive(Debug)]
pub struct Locked {
    dir: DataDir,
    /// The operating system frees the lock with the file.
    _lock: File,
}

/// Where a running server can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its process.
    pub pid: u32,
    /// The public listener's URL.
    pub public: String,
    /// The internal listener's URL.
    pub internal: String,
    /// The modules that it runs.
    pub modules: Vec<String>,
}

impl Server {
    /// This process, with its listeners and modules.
    pub fn here(public: &str, internal: &str, modules: &[&str]) -> Self {
        Self {
            pid: std::process::id(),
            public: public.to_owned(),
            internal: internal.to_owned(),
            modules: modules.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// Who has the directory.
#[derive(Debug)]
pub enum Use {
    /// Nobody had; now we do.
    Ours(Locked),
    /// A running server.
    Theirs(Server),
}

impl DataDir {
    /// The directory at this path; it need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file of this name in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the directory where it is missing (0700: it holds the shop's books and secrets) and takes its lock.
    pub fn lock(&self) -> Result<Locked> {
        match self.claim()? {
            Use::Ours(locked) => Ok(locked),
            Use::Theirs(server) => bail!(
                "{} is in use by the server at {} (process {}): stop it, or give another directory with --data",
                self.0.display(),
                server.public,
                server.pid
            ),
        }
    }

    /// Takes the lock, or finds the server that has it.
    pub fn claim(&self) -> Result<Use> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        created.with_context(|| format!("cannot make the data directory {}", self.0.display()))?;
        let path = self.file(LOCK);
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {
                let locked = Locked { dir: self.clone(), _lock: lock };
                // A server that was killed has left it behind: from now on it would be taken for ours.
                locked.withdraw();
                Ok(Use::Ours(locked))
            }
            Err(TryLockError::WouldBlock) => match self.server()? {
                Some(server) => Ok(Use::Theirs(server)),
                None => bail!(
                    "{} is in use by a process that is not ready yet, or by another command: try again",
                    self.0.display()
                ),
            },
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// The server that says it uses this directory; it may have been killed since.
    pub fn server(&self) -> Result<Option<Server>> {
        let Some(text) = read(&self.file(SERVER))? else { return Ok(None) };
        Ok(serde_json::from_str(&text).ok())
    }

    /// Writes a file that only its owner may read: whole or not at all, and on the disk when this returns.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let (path, draft) = (self.file(name), self.file(&format!("{name}.new")));
        let written = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            File::open(self.path())?.sync_all()
        };
        written().with_context(|| format!("cannot write {}", path.display()))
    }

    /// The deployment's secret, which a server made here.
    pub fn deployment_secret(&self) -> Result<DeploymentSecret> {
        let path = self.file(DEPLOYMENT_SECRET);
        let text = read(&path)?.with_context(|| {
            format!("{} is missing: has a server ever run here?", path.display())
        })?;
        DeploymentSecret::parse(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// The operator's token, which a server made here.
    pub fn operator_token(&self) -> Result<OperatorToken> {
        let path = self.file(OPERATOR_TOKEN);
        let text = read(&path)?.with_context(|| {
            format!("{} is missing: give --operator-token, or the server's --data", path.display())
        })?;
        OperatorToken::parse(&text).with_context(|| format!("{} is damaged", path.display()))
    }
}

impl Locked {
    /// The directory.
    pub fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// The deployment's secret, made on the first start.
    pub fn deployment_secret(&self) -> Result<DeploymentSecret> {
        if !self.dir.file(DEPLOYMENT_SECRET).exists() {
            let fresh = DeploymentSecret::fresh()?;
            self.write(DEPLOYMENT_SECRET, &fresh.to_text())?;
        }
        self.dir.deployment_secret()
    }

    /// The operator's token, and whether it was made just now: then it is shown, once.
    pub fn operator_token(&self) -> Result<(OperatorToken, Made)> {
        if self.dir.file(OPERATOR_TOKEN).exists() {
            return Ok((self.dir.operator_token()?, Made::Before));
        }
        let fresh = OperatorToken::fresh()?;
        self.write(OPERATOR_TOKEN, fresh.as_str())?;
        Ok((fresh, Made::JustNow))
    }

    /// Says where the running server can be reached.
    pub fn announce(&self, server: &Server) -> Result<()> {
        self.write(SERVER, &serde_json::to_string(server)?)
    }

    /// Takes back what [`Self::announce`] said.
    pub fn withdraw(&self) {
        // Without the lock it is not believed, so one that stays behind does no harm.
        drop(std::fs::remove_file(self.dir.file(SERVER)));
    }

    /// Writes a file that only its owner may read: whole or not at all, and on the disk when this returns.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        self.dir.write(name, text)
    }

    /// Removes a file, for good when this returns.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.dir.file(name);
        let removed = || -> std::io::Result<()> {
            std::fs::remove_file(&path)?;
            File::open(self.dir.path())?.sync_all()
        };
        removed().with_context(|| format!("cannot remove {}", path.display()))
    }
}

/// When a secret was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// By this start.
    JustNow,
    /// By an earlier one.
    Before,
}

fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_process_at_a_time_and_secrets_are_made_once() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::at(home.path().join("data"));
        let locked = data.lock().unwrap();
        let (first, made) = locked.operator_token().unwrap();
        assert_eq!(made, Made::JustNow);
        let (second, made) = locked.operator_token().unwrap();
        assert_eq!((first.as_str(), made), (second.as_str(), Made::Before));
        assert_eq!(locked.deployment_secret().unwrap(), locked.deployment_secret().unwrap());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(data.path()), 0o700);
        assert_eq!(mode(&data.file(OPERATOR_TOKEN)), 0o600);
        assert_eq!(mode(&data.file(DEPLOYMENT_SECRET)), 0o600);

        assert!(data.lock().unwrap_err().to_string().contains("in use"));
        let server = Server {
            pid: 7,
            public: "http://p".into(),
            internal: "http://i".into(),
            modules: Vec::new(),
        };
        locked.announce(&server).unwrap();
        assert!(matches!(data.claim().unwrap(), Use::Theirs(found) if found == server));
        drop(locked);
        assert!(
            matches!(data.claim().unwrap(), Use::Ours(_)),
            "a file left behind is not believed"
        );
    }
}
