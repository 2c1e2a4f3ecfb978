//! The files that TLS is made from: each is read once for a configuration, and is watched while that is in force.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};

use super::{Certificate, provider};
use crate::config::fault::{Fault, KeyPath};

/// A file of certificates or authorities is not read beyond this: the bundles of the systems have a quarter of it.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// Certificates of one chain. A handshake carries them all; more is a bundle that got into the wrong place.
const CHAIN_MAX: usize = 16;

/// Reads files for one configuration.
#[derive(Debug)]
pub struct Files {
    /// Relative paths begin in the folder of the configuration.
    folder: Option<PathBuf>,
    read: BTreeMap<PathBuf, Result<Arc<[u8]>, String>>,
    /// What works, but wants somebody's attention.
    pub warnings: Vec<Fault>,
    /// Seconds since 1970.
    pub now: i64,
}

/// A certificate with its key, and what it says.
#[derive(Debug, Clone)]
pub struct Identity {
    /// For handshakes.
    pub key: Arc<CertifiedKey>,
    /// What it says.
    pub certificate: Arc<Certificate>,
}

impl Files {
    /// For a configuration file, at this second.
    pub fn new(file: Option<&Path>, now: i64) -> Self {
        let folder = file.and_then(Path::parent).map(Path::to_owned);
        Self { folder, read: BTreeMap::new(), warnings: Vec::new(), now }
    }

    /// All that was asked for, to be watched.
    pub fn watched(&self) -> Box<[PathBuf]> {
        self.read.keys().cloned().collect()
    }

    /// A hash over everything that was read.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (path, bytes) in &self.read {
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update([0]);
            hash.update(bytes.as_deref().unwrap_or_default());
        }
        hash.finalize().into()
    }

    /// Where a path of the configuration leads.
    pub fn place(&self, path: &Path) -> PathBuf {
        self.folder.as_ref().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// A file's bytes.
    pub fn bytes(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        let place = self.place(path);
        self.read.entry(place).or_insert_with_key(|place| read(place)).clone()
    }

    /// A hash of what was written and of these files, by which it is known whether anything has changed.
    pub fn digest_of(&mut self, written: &impl serde::Serialize, paths: &[&Path]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(written).unwrap_or_default());
        for path in paths {
            hash.update([0]);
            hash.update(self.bytes(path).as_deref().unwrap_or_default());
        }
        hash.finalize().into()
    }

    /// A certificate with its chain and key; the key is in the certificate's file where no other is named.
    pub fn identity(
        &mut self,
        (cert, key): (&Path, Option<&Path>),
        path: &KeyPath,
        faults: &mut Vec<Fault>,
    ) -> Option<Identity> {
        let key_file = key.unwrap_or(cert);
        let key_path = if key.is_some() { path.key("key") } else { path.key("cert") };
        let about = [self.place(cert), self.place(key_file)];
        let chain = self.certificates(cert);
        let secret = self.key(key_file);
        let mut wrong = |at: &KeyPath, what: String| {
            let mut fault = Fault::at(at, what);
            fault.about = about.to_vec();
            faults.push(fault);
        };
        let (chain, secret) = match (chain, secret) {
            (Ok(chain), Ok(secret)) => (chain, secret),
            (chain, secret) => {
                for (at, error) in [(path.key("cert"), chain.err()), (key_path, secret.err())] {
                    if let Some(error) = error {
                        wrong(&at, error);
                    }
                }
                return None;
            }
        };
        if chain.len() > CHAIN_MAX {
            wrong(
                &path.key("cert"),
                format!("has {} certificates: a chain has {CHAIN_MAX} at most", chain.len()),
            );
            return None;
        }
        let read = chain.first().and_then(|first| Certificate::read(first));
        let Some(read) = read else {
            wrong(
                &path.key("cert"),
                format!("{}: the first certificate cannot be read", cert.display()),
            );
            return None;
        };
        let key = match CertifiedKey::from_der(chain, secret, &provider()) {
            Ok(key) => Arc::new(key),
            Err(error) => {
                wrong(&key_path, unfit(&error, cert));
                return None;
            }
        };
        let certificate = Arc::new(Certificate { file: self.place(cert), ..read });
        self.check_time(&certificate, &path.key("cert"));
        Some(Identity { key, certificate })
    }

    /// Out of its time is no fault: a proxy that starts with it can still be reached and toggled, and says so.
    fn check_time(&mut self, certificate: &Certificate, path: &KeyPath) {
        if let Some(what) = super::validity::complaint(certificate, self.now) {
            let file = certificate.file.display();
            self.warnings.push(Fault::at(path, format_args!("{file}: {what}")));
        }
    }

    /// Authorities from a file.
    pub fn authorities(
        &mut self,
        file: &Path,
        path: &KeyPath,
        faults: &mut Vec<Fault>,
    ) -> Option<Arc<RootCertStore>> {
        let mut store = RootCertStore::empty();
        let loaded = self.certificates(file).and_then(|certificates| {
            let all = certificates.len();
            let (good, _) = store.add_parsable_certificates(certificates);
            // The systems' bundles have some that nobody can use; a file of one's own that has none is a mistake.
            if good == 0 {
                Err(format!("{}: none of {all} certificates can be an authority", file.display()))
            } else {
                Ok(())
            }
        });
        match loaded {
            Ok(()) => Some(Arc::new(store)),
            Err(error) => {
                let mut fault = Fault::at(path, error);
                fault.about = vec![self.place(file)];
                faults.push(fault);
                None
            }
        }
    }

    fn certificates(&mut self, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
        let bytes = self.bytes(file)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match found {
            Ok(found) if found.is_empty() => Err(format!(
                "{} has no certificate in PEM (`-----BEGIN CERTIFICATE-----`)",
                file.display()
            )),
            Ok(found) => Ok(found),
            Err(error) => Err(broken(&error, file)),
        }
    }

    fn key(&mut self, file: &Path) -> Result<PrivateKeyDer<'static>, String> {
        let bytes = self.bytes(file)?;
        PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
            let is_locked = bytes.windows(9).any(|window| window == b"ENCRYPTED");
            match error {
                pem::Error::NoItemsFound if is_locked => {
                    format!("{}: the key has a passphrase; write it without one", file.display())
                }
                pem::Error::NoItemsFound => {
                    format!(
                        "{} has no private key in PEM (`-----BEGIN PRIVATE KEY-----`)",
                        file.display()
                    )
                }
                error => broken(&error, file),
            }
        })
    }
}

/// Not the error's own words, for they quote the line: that may be a part of a key.
fn broken(error: &pem::Error, file: &Path) -> String {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section has no right beginning",
        pem::Error::Base64Decode(_) => "a section is no base64",
        _ => "is no PEM",
    };
    format!("{}: {what}", file.display())
}

fn unfit(error: &rustls::Error, cert: &Path) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("the key does not belong to the certificate in {}", cert.display())
        }
        error => format!("the key cannot be used: {error}"),
    }
}

fn read(place: &Path) -> Result<Arc<[u8]>, String> {
    let told = |error: std::io::Error| format!("cannot read {}: {error}", place.display());
    let length = fs::metadata(place).map_err(told)?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("{} has {length} bytes, more than {FILE_BYTES_MAX}", place.display()));
    }
    fs::read(place).map(Into::into).map_err(told)
}
