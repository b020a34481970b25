//! Files that are either whole or not there.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::error::ProvisionError;

/// How the name of a file or folder begins while it is being made. One that an interrupted setup
/// left behind is known by it, see [`sweep`].
pub(super) const PARTIAL: &str = ".partial-";

/// Makes a folder and those above it.
pub(super) fn create_folder(path: &Path) -> Result<(), ProvisionError> {
    fs::create_dir_all(path).map_err(ProvisionError::io("make the folder", path))
}

/// Removes a folder with all in it; that it is not there is fine.
pub(super) fn remove_folder(path: &Path) -> Result<(), ProvisionError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ProvisionError::io("remove the folder", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes what interrupted setups left half-made in a folder and those below it.
pub(super) fn sweep(folder: &Path) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("clean", folder);
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let path = entry.path();
        let is_folder = entry.file_type().map_err(failed())?.is_dir();
        let partial = entry.file_name().to_string_lossy().starts_with(PARTIAL);
        match (partial, is_folder) {
            (true, true) => remove_folder(&path)?,
            (true, false) => {
                fs::remove_file(&path).map_err(ProvisionError::io("remove", path))?;
            }
            (false, true) => sweep(&path)?,
            (false, false) => {}
        }
    }
    Ok(())
}

/// A file that is being made beside its final name, and gets that name only when it is whole.
pub(super) struct Draft {
    file: NamedTempFile,
    hasher: Sha256,
}

impl Draft {
    /// Begins a file that is to be at `path`; makes its folder.
    pub(super) fn beside(path: &Path) -> Result<Draft, ProvisionError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        create_folder(folder)?;
        let file = tempfile::Builder::new()
            .prefix(PARTIAL)
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(ProvisionError::io("write into", folder))?;
        Ok(Draft {
            file,
            hasher: Sha256::new(),
        })
    }

    /// The SHA-256 of what was written, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.hasher.clone().finalize())
    }

    /// Gives the file its name, over what was there.
    pub(super) fn publish(self, path: &Path) -> Result<(), ProvisionError> {
        self.file
            .as_file()
            .sync_all()
            .map_err(ProvisionError::io("write", path))?;
        self.file
            .persist(path)
            .map(drop)
            .map_err(|failed| ProvisionError::io("write", path)(failed.error))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a whole file.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<(), ProvisionError> {
    let mut draft = Draft::beside(path)?;
    draft
        .write_all(content)
        .map_err(ProvisionError::io("write", path))?;
    draft.publish(path)
}

/// The SHA-256 of bytes, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The SHA-256 of a file, in hexadecimal; nothing if there is no such file.
pub(super) fn sha256_of(path: &Path) -> Result<Option<String>, ProvisionError> {
    let failed = || ProvisionError::io("read", path);
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed())?,
    };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(failed())?;
        if read == 0 {
            return Ok(Some(hex::encode(hasher.finalize())));
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpublished_draft_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file");
        let mut draft = Draft::beside(&path).unwrap();
        draft.write_all(b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn a_published_draft_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let mut draft = Draft::beside(&path).unwrap();
        draft.write_all(b"new").unwrap();
        assert_eq!(draft.sha256(), sha256(b"new"));
        draft.publish(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(sha256_of(&path).unwrap(), Some(sha256(b"new")));
    }

    #[test]
    fn a_sweep_takes_the_half_made_only() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/.partial-x/y")).unwrap();
        fs::write(folder.path().join("a/.partial-z"), "half").unwrap();
        fs::write(folder.path().join("a/whole"), "whole").unwrap();
        sweep(folder.path()).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path().join("a"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["whole"]);
    }
}
