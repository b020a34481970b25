//! The page's third-party assets: getting them, and finding them again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::archive;
use super::asset_lock::{AssetLock, Item, Package, Source};
use super::command::Tool;
use super::error::ProvisionError;
use super::files;
use super::home::{Home, HomeLock};
use super::progress::Step;
use super::pyodide_list::PyodideList;

/// How long getting one package may take.
pub(super) const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// A file that stands for one on a public host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// The public address that the page asks for, query included.
    pub url: String,
    /// The file on this machine.
    pub path: PathBuf,
    /// The media type to serve it with.
    pub media_type: String,
}

/// Every third-party asset of the page. Cheap: that the files are there, of the right size, and
/// made from this build's lock, is looked at, their content is not.
///
/// # Errors
/// They have not been got yet, or are no longer whole.
pub fn assets(home: &Home) -> Result<Vec<Asset>, ProvisionError> {
    let lock = AssetLock::embedded()?;
    let stamp = fs::read_to_string(stamp(home)).unwrap_or_default();
    if stamp.trim() != lock.sha256 {
        return Err(ProvisionError::NotSetUp {
            what: "the page's third-party assets are not here, or are those of another gymcheck"
                .into(),
        });
    }
    let folder = home.assets();
    lock.items()?
        .into_iter()
        .map(|item| found(&folder, item))
        .collect()
}

/// The list of the Pyodide among the assets.
///
/// # Errors
/// This build's lock is not well-formed.
pub fn pyodide_list() -> Result<PyodideList, ProvisionError> {
    AssetLock::embedded()?.pyodide_list()
}

/// Gets what is missing of the assets.
pub(super) fn get(home: &Home, python: &Path, guard: &HomeLock) -> Result<(), ProvisionError> {
    let lock = AssetLock::embedded()?;
    let folder = home.assets();
    for folder in [&folder, &home.downloads()] {
        files::create_folder(folder)?;
        files::sweep(folder)?;
    }
    let mut missing = Vec::new();
    for package in &lock.packages {
        if !is_whole(&folder, package)? {
            missing.push(package);
        }
    }
    let step = Step::of_parts("getting the page's third-party assets", missing.len());
    for package in missing {
        step.part(&format!("{} {}", package.name, package.version));
        let archive = download(home, package, python, guard)?;
        archive::unpack(&archive, package, &folder)?;
        fs::remove_file(&archive).map_err(ProvisionError::io("remove", &archive))?;
        step.part_done();
    }
    for item in lock.items()? {
        if let Some(content) = &item.content {
            files::write_whole(&folder.join(&item.path), content)?;
        }
    }
    files::write_whole(&stamp(home), format!("{}\n", lock.sha256).as_bytes())?;
    step.done();
    Ok(())
}

/// Compares every asset with its pinned digest.
///
/// # Errors
/// As [`assets`]; or one is not the pinned one.
pub(super) fn verify(home: &Home) -> Result<Vec<Asset>, ProvisionError> {
    let assets = assets(home)?;
    for (asset, item) in assets.iter().zip(AssetLock::embedded()?.items()?) {
        if files::sha256_of(&asset.path)?.as_ref() != Some(&item.sha256) {
            return Err(ProvisionError::NotSetUp {
                what: format!("{} is not the pinned file", asset.path.display()),
            });
        }
    }
    Ok(assets)
}

/// The file that says of which lock the assets are a whole set.
pub(super) fn stamp(home: &Home) -> PathBuf {
    home.assets().join("complete.sha256")
}

pub(super) fn found(folder: &Path, item: Item) -> Result<Asset, ProvisionError> {
    let path = folder.join(&item.path);
    match fs::metadata(&path) {
        Ok(file) if file.is_file() && file.len() == item.size => Ok(Asset {
            url: item.url,
            path,
            media_type: item.media_type,
        }),
        _ => Err(ProvisionError::NotSetUp {
            what: format!("{} is missing or not whole", path.display()),
        }),
    }
}

pub(super) fn is_whole(folder: &Path, package: &Package) -> Result<bool, ProvisionError> {
    for file in &package.files {
        let path = folder.join(file.item().path);
        if files::sha256_of(&path)?.as_deref() != Some(file.sha256.as_str()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The archive of a package, its digest checked.
pub(super) fn download(
    home: &Home,
    package: &Package,
    python: &Path,
    guard: &HomeLock,
) -> Result<PathBuf, ProvisionError> {
    let downloads = home.downloads();
    let kept = downloads.join(archive_name(package));
    if files::sha256_of(&kept)?.as_deref() == Some(package.sha256.as_str()) {
        return Ok(kept);
    }
    let scratch = tempfile::Builder::new()
        .prefix(files::PARTIAL)
        .tempdir_in(&downloads)
        .map_err(ProvisionError::io("write into", &downloads))?;
    let tool = client(package, python).within(scratch.path());
    let command = tool.line();
    tool.run(&home.log("assets"), Some(guard))?;
    let archive = only_file(scratch.path())?.ok_or_else(|| ProvisionError::Unexpected {
        command,
        what: "did not leave exactly one file".into(),
    })?;
    keep(&archive, package, &kept)?;
    Ok(kept)
}

/// Takes a downloaded archive over, if it is the pinned one.
fn keep(archive: &Path, package: &Package, kept: &Path) -> Result<(), ProvisionError> {
    let found = files::sha256_of(archive)?.unwrap_or_default();
    if found != package.sha256.as_str() {
        return Err(ProvisionError::Hash {
            what: format!("the archive of {} {}", package.name, package.version),
            expected: package.sha256.as_str().into(),
            found,
        });
    }
    fs::rename(archive, kept).map_err(ProvisionError::io("write", kept))
}

/// A wheel of this very version, without what it needs, in a folder that is empty.
pub(super) fn download_wheel(
    home: &Home,
    python: &Path,
    name: &str,
    version: &str,
    folder: &Path,
    guard: &HomeLock,
) -> Result<PathBuf, ProvisionError> {
    let tool = pip_download(python, name, version).within(folder);
    let command = tool.line();
    tool.run(&home.log("assets"), Some(guard))?;
    only_file(folder)?.ok_or_else(|| ProvisionError::Unexpected {
        command,
        what: "did not leave exactly one file".into(),
    })
}

/// The registry's client, told to leave the package's archive in the folder in which it runs.
fn client(package: &Package, python: &Path) -> Tool {
    let Package { name, version, .. } = package;
    match package.source {
        Source::Npm => Tool::new("npm", DOWNLOAD_DEADLINE).args([
            "pack",
            "--ignore-scripts",
            "--pack-destination=.",
            &format!("{name}@{version}"),
        ]),
        Source::Pypi => pip_download(python, name, version),
    }
}

/// pip, told to leave a wheel in the folder in which it runs.
fn pip_download(python: &Path, name: &str, version: &str) -> Tool {
    Tool::new(python, DOWNLOAD_DEADLINE)
        .args(["-I", "-m", "pip", "download", "--no-deps"])
        .args(["--dest", ".", "--only-binary", ":all:"])
        // The file is not for this Python, but for the page's.
        .args(["--ignore-requires-python"])
        .args(["--no-input", "--disable-pip-version-check"])
        .args([format!("{name}=={version}")])
}

/// A name for a package's archive: no folder, and no two packages have the same.
fn archive_name(package: &Package) -> String {
    let name = package.name.replace('/', "+");
    match package.source {
        Source::Npm => format!("npm-{name}-{}.tgz", package.version),
        Source::Pypi => format!("pypi-{name}-{}.whl", package.version),
    }
}

/// The only file in a folder.
pub(super) fn only_file(folder: &Path) -> Result<Option<PathBuf>, ProvisionError> {
    let failed = || ProvisionError::io("read", folder);
    let mut entries = fs::read_dir(folder).map_err(failed())?;
    let first = entries.next().transpose().map_err(failed())?;
    Ok(first
        .filter(|_| entries.next().is_none())
        .map(|entry| entry.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://cdn.example/lib.js";
    const CONTENT: &[u8] = b"alert(1)";

    /// A package of one file, and an archive of it.
    fn package(folder: &Path) -> (Package, PathBuf) {
        let archive = folder.join("archive.tgz");
        let file = fs::File::create(&archive).unwrap();
        let packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut tar = tar::Builder::new(packer);
        let mut header = tar::Header::new_gnu();
        header.set_size(CONTENT.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "package/lib.js", CONTENT)
            .unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        let text = format!(
            r#"
source = "npm"
name = "@some/lib"
version = "1.0.0"
sha256 = "{}"
[[file]]
path = "package/lib.js"
url = "{ADDRESS}"
media_type = "text/javascript"
size = {}
sha256 = "{}"
"#,
            files::sha256_of(&archive).unwrap().unwrap(),
            CONTENT.len(),
            files::sha256(CONTENT)
        );
        (toml::from_str(&text).unwrap(), archive)
    }

    #[test]
    fn a_pinned_file_comes_out_of_its_archive() {
        let folder = tempfile::tempdir().unwrap();
        let (package, archive) = package(folder.path());
        let assets = folder.path().join("assets");
        assert!(!is_whole(&assets, &package).unwrap());
        archive::unpack(&archive, &package, &assets).unwrap();
        assert!(is_whole(&assets, &package).unwrap());
        assert_eq!(
            fs::read(assets.join("cdn.example/lib.js")).unwrap(),
            CONTENT
        );
    }

    #[test]
    fn a_file_that_is_not_the_pinned_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (mut package, archive) = package(folder.path());
        package.files[0].sha256 = "00".repeat(32).try_into().unwrap();
        let assets = folder.path().join("assets");
        let error = archive::unpack(&archive, &package, &assets).unwrap_err();
        assert!(matches!(error, ProvisionError::Hash { .. }), "{error}");
        assert!(!assets.join("cdn.example/lib.js").exists());
        assert_eq!(fs::read_dir(assets.join("cdn.example")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_the_archive_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (mut package, archive) = package(folder.path());
        package.files[0].path = Some("package/other.js".into());
        let error = archive::unpack(&archive, &package, folder.path()).unwrap_err();
        assert!(
            error.to_string().ends_with("holds no package/other.js"),
            "{error}"
        );
    }

    #[test]
    fn an_archive_that_is_not_the_pinned_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (package, archive) = package(folder.path());
        let kept = folder.path().join("kept.tgz");
        let other = folder.path().join("other.tgz");
        fs::write(&other, "something else").unwrap();
        let error = keep(&other, &package, &kept).unwrap_err();
        assert!(matches!(error, ProvisionError::Hash { .. }), "{error}");
        assert!(!kept.exists());
        keep(&archive, &package, &kept).unwrap();
        assert!(kept.exists());
    }

    #[test]
    fn a_download_that_was_interrupted_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let guard = home.lock().unwrap();
        let (package, archive) = package(folder.path());
        // The archive came whole before the interruption: no client is asked (there is none at this
        // path), and what came half is swept away.
        let scratch = home.downloads().join(format!("{}scratch", files::PARTIAL));
        fs::create_dir_all(&scratch).unwrap();
        fs::write(scratch.join("half.tgz"), "half").unwrap();
        let kept = home.downloads().join(archive_name(&package));
        fs::copy(&archive, &kept).unwrap();
        files::sweep(&home.downloads()).unwrap();
        let nowhere = Path::new("/no/such/python");
        assert_eq!(download(&home, &package, nowhere, &guard).unwrap(), kept);
        assert!(!scratch.exists());
    }

    #[test]
    fn an_archive_that_came_half_is_got_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let guard = home.lock().unwrap();
        let (mut package, _) = package(folder.path());
        package.source = Source::Pypi;
        let kept = home.downloads().join(archive_name(&package));
        fs::create_dir_all(home.downloads()).unwrap();
        fs::write(&kept, "half").unwrap();
        // The client is asked, which this test does without.
        let nowhere = Path::new("/no/such/python");
        let error = download(&home, &package, nowhere, &guard).unwrap_err();
        assert!(matches!(error, ProvisionError::Start { .. }), "{error}");
    }

    #[test]
    fn assets_that_are_not_there_ask_for_a_setup() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let error = assets(&home).unwrap_err().to_string();
        assert!(error.ends_with("run: gymcheck setup"), "{error}");
        let lock = AssetLock::embedded().unwrap();
        files::write_whole(&stamp(&home), lock.sha256.as_bytes()).unwrap();
        let error = assets(&home).unwrap_err().to_string();
        assert!(
            error.contains("is missing or not whole; run: gymcheck setup"),
            "{error}"
        );
    }
}
