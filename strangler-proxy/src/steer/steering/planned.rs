//! A toggle that has been checked and is about to be written.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::SteerError;
use crate::{
    config::{Loaded, Source, load_text},
    steer::{
        Toggle,
        overlay::Toggled,
        toggle,
        write::{self, Replaced},
    },
};

/// What is to be written, and what is in force then.
pub struct Planned {
    /// That.
    pub after: Loaded,
    /// The file with its text as it was read, where it can be written.
    file: Option<(PathBuf, String)>,
    /// The state file, where it changes.
    overlay: Option<PathBuf>,
}

impl Planned {
    /// The toggle in the file, or over it where that cannot be written.
    pub fn of(
        source: &Source,
        loaded: Loaded,
        names: &[String],
        toggle: Toggle,
    ) -> Result<Self, SteerError> {
        let state_path = loaded.snapshot.files.state.clone();
        let mut overlay = loaded.overlay.clone();
        if let Some(path) = source.file.as_deref().filter(|path| write::is_writable(path)) {
            let routes: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = toggle::edit(&loaded.text, &routes, toggle)?;
            // What the state file said of these routes would hide what the file says now.
            overlay.routes.retain(|name, _| !names.contains(name));
            let changes = overlay != loaded.overlay;
            let after = load_text(source, text, Some(overlay))?;
            let file = Some((path.to_owned(), loaded.text));
            return Ok(Self { after, file, overlay: changes.then_some(state_path) });
        }
        for name in names {
            let toggled = Toggled { stage: toggle.stage, weight: toggle.weight };
            overlay.routes.insert(name.clone(), toggled);
        }
        let after = load_text(source, loaded.text, Some(overlay))?;
        Ok(Self { after, file: None, overlay: Some(state_path) })
    }

    /// Is it the state file that has it?
    pub fn is_over_the_file(&self) -> bool {
        self.file.is_none()
    }

    /// The file that has it.
    pub fn written(&self) -> &Path {
        match &self.file {
            Some((path, _)) => path,
            None => &self.after.snapshot.files.state,
        }
    }

    /// To the disk; false where the file is not any more as it was read.
    pub fn write(&self) -> Result<bool, SteerError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| SteerError::Write { path, source }
        };
        if let Some((path, seen)) = &self.file {
            let replaced = write::replace_seen(path, seen, &self.after.text);
            if replaced.map_err(failed(path))? == Replaced::ChangedMeanwhile {
                return Ok(false);
            }
        }
        if let Some(path) = &self.overlay {
            let text = self.after.overlay.text();
            // Nothing to say is no file.
            let written =
                if text.is_empty() { write::remove(path) } else { write::replace(path, &text) };
            written.map_err(failed(path))?;
        }
        Ok(true)
    }
}
