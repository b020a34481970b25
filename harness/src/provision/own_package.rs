//! A checkout's own Python package for the browser: a page installs the release that serves it, and
//! of a checkout there is none.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::asset_lock::{AssetLock, OwnPackage};
use super::assets::Asset;
use super::error::ProvisionError;
use super::files;
use crate::target::Code;

/// The assets with the target's own package among Pyodide's, made from its files as they are now.
/// `version` is what the page asks for. What is made goes into `folder`.
///
/// # Errors
/// The package cannot be read, or the folder not written.
pub fn with_own_package(
    assets: &[Asset],
    code: &Code,
    version: &str,
    folder: &Path,
) -> Result<Vec<Asset>, ProvisionError> {
    let lock = AssetLock::embedded()?;
    let name = code.package.distribution();
    let file_name = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
    let wheel = folder.join(&file_name);
    make_wheel(code, version, &wheel)?;
    let own = OwnPackage {
        name,
        version,
        imports: code.package.name(),
        sha256: files::sha256_of(&wheel)?.unwrap_or_default(),
        file_name: &file_name,
    };
    let list = folder.join("pyodide-lock.json");
    files::write_whole(&list, &lock.pyodide_list(Some(&own))?)?;
    let list_url = lock.pyodide_list_url();
    let mut all: Vec<Asset> = assets
        .iter()
        .filter(|asset| asset.url != list_url)
        .cloned()
        .collect();
    all.push(Asset {
        url: list_url.to_owned(),
        path: list,
        media_type: "application/json".to_owned(),
    });
    all.push(Asset {
        url: lock.beside_the_list(&file_name),
        path: wheel,
        media_type: "application/zip".to_owned(),
    });
    Ok(all)
}

/// Writes the package's Python files as a wheel, as PEP 427 describes it.
fn make_wheel(code: &Code, version: &str, path: &Path) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("write", path);
    let mut zip = ZipWriter::new(File::create(path).map_err(failed())?);
    let options = SimpleFileOptions::default();
    let mut sources = Vec::new();
    python_files(&code.folder, &mut sources)?;
    sources.sort_unstable();
    let mut add = |name: String, content: &[u8]| {
        zip.start_file(name, options)
            .map_err(std::io::Error::other)
            .and_then(|()| zip.write_all(content))
            .map_err(failed())
    };
    for source in sources {
        let content = fs::read(&source).map_err(ProvisionError::io("read", &source))?;
        let below = source.strip_prefix(&code.folder).unwrap_or(&source);
        add(
            format!("{}/{}", code.package.name(), below.display()),
            &content,
        )?;
    }
    let name = code.package.distribution();
    let about = format!("{}-{version}.dist-info", name.replace('-', "_"));
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    add(format!("{about}/METADATA"), metadata.as_bytes())?;
    let wheel =
        "Wheel-Version: 1.0\nGenerator: gymcheck\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    add(format!("{about}/WHEEL"), wheel.as_bytes())?;
    add(format!("{about}/RECORD"), b"")?;
    zip.finish()
        .map_err(|error| failed()(std::io::Error::other(error)))?;
    Ok(())
}

fn python_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("look into", folder);
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let path = entry.path();
        if entry.file_type().map_err(failed())?.is_dir() {
            python_files(&path, found)?;
        } else if path.extension().is_some_and(|kind| kind == "py") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::target::Package;

    #[test]
    fn the_package_of_a_checkout_takes_the_place_of_the_published_one() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("checkout/mug");
        fs::create_dir_all(package.join("scenes")).unwrap();
        fs::write(package.join("__init__.py"), "own = 1\n").unwrap();
        fs::write(package.join("scenes/scene.py"), "").unwrap();
        fs::write(package.join("scenes/page.js"), "").unwrap();
        let code = Code {
            package: Package::Mug,
            folder: package,
        };
        let out = folder.path().join("out");
        fs::create_dir(&out).unwrap();
        let assets = with_own_package(&[], &code, "0.9", &out).unwrap();
        let wheel = assets
            .iter()
            .find(|asset| asset.url.ends_with(".whl"))
            .unwrap();
        let mut archive = zip::ZipArchive::new(File::open(&wheel.path).unwrap()).unwrap();
        assert!(archive.by_name("mug/scenes/scene.py").is_ok());
        assert!(archive.by_name("mug/scenes/page.js").is_err());
        let mut text = String::new();
        archive
            .by_name("mug/__init__.py")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "own = 1\n");
        let list = assets
            .iter()
            .find(|asset| asset.url.ends_with("lock.json"))
            .unwrap();
        let list: serde_json::Value =
            serde_json::from_slice(&fs::read(&list.path).unwrap()).unwrap();
        let own = &list["packages"]["multi-user-gymnasium"];
        assert_eq!(own["version"], "0.9");
        assert_eq!(
            own["sha256"],
            files::sha256_of(&wheel.path).unwrap().unwrap()
        );
        assert!(list["packages"]["numpy"].is_object());
    }
}
