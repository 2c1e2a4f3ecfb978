//! The token that opens the admin API: made at the first start, kept where only its owner may read it.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use super::write;
use crate::config::AdminPlace;

/// The token that the configuration has, or that is kept in the token file.
pub fn known(place: &AdminPlace) -> io::Result<Option<String>> {
    if let Some(token) = &place.token {
        return Ok(Some(token.expose().clone()));
    }
    match fs::read_to_string(&place.token_file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same, made where there is none. A file that somebody emptied opens nothing: it is made anew.
pub fn known_or_fresh(place: &AdminPlace) -> io::Result<String> {
    if let Some(token) = known(place)?.filter(|token| !token.is_empty()) {
        return Ok(token);
    }
    let token = fresh()?;
    remove_emptied(&place.token_file)?;
    write::replace(&place.token_file, &format!("{token}\n"))?;
    Ok(token)
}

/// A new file is 0600; one that stood there would keep its mode.
fn remove_emptied(path: &Path) -> io::Result<()> {
    write::remove(path)
}

fn fresh() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // The prefix lets a scanner for leaked secrets know it.
    Ok(format!("strangler_{hex}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let place = AdminPlace {
            listen: "127.0.0.1:0".parse().unwrap(),
            token: None,
            token_file: home.path().join("token"),
        };
        assert_eq!(known(&place).unwrap(), None);
        let first = known_or_fresh(&place).unwrap();
        assert_eq!(first.len(), 74);
        assert_eq!(known_or_fresh(&place).unwrap(), first);
        let mode = fs::metadata(&place.token_file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}
