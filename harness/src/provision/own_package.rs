//! A checkout's own Python package for the browser: a page installs the release that serves it, and
//! of a checkout there is none.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::assets::Asset;
use super::error::ProvisionError;
use super::files;
use super::pyodide_list::{ListedPackage, PyodideList};
use crate::target::Code;

/// Enters the target's own package into Pyodide's list, made from its files as they are now, and gives the
/// wheel. `version` is what the page asks for. What is made goes into `folder`.
///
/// # Errors
/// The package cannot be read, or the folder not written.
pub fn own_package(
    list: &mut PyodideList,
    code: &Code,
    version: &str,
    folder: &Path,
) -> Result<Asset, ProvisionError> {
    let name = code.package.distribution();
    let file_name = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
    let wheel = folder.join(&file_name);
    make_wheel(code, version, &wheel)?;
    let own = ListedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        depends: vec!["numpy".to_owned()],
        imports: vec![code.package.name().to_owned()],
        file_name,
    };
    list.enter(&own, &files::sha256_of(&wheel)?.unwrap_or_default())?;
    Ok(Asset {
        url: list.beside(&own.file_name),
        path: wheel,
        media_type: "application/zip".to_owned(),
    })
}

/// Writes the package's Python files as a wheel.
fn make_wheel(code: &Code, version: &str, path: &Path) -> Result<(), ProvisionError> {
    let mut sources = Vec::new();
    python_files(&code.folder, &mut sources)?;
    sources.sort_unstable();
    let mut files = Vec::new();
    for source in sources {
        let content = fs::read(&source).map_err(ProvisionError::io("read", &source))?;
        let below = source.strip_prefix(&code.folder).unwrap_or(&source);
        files.push((
            format!("{}/{}", code.package.name(), below.display()),
            content,
        ));
    }
    write_wheel(code.package.distribution(), version, path, &files)
}

/// Writes a wheel with nothing in it but its name.
pub(super) fn write_empty_wheel(
    name: &str,
    version: &str,
    path: &Path,
) -> Result<(), ProvisionError> {
    write_wheel(name, version, path, &[])
}

/// Writes a wheel, as PEP 427 describes it.
fn write_wheel(
    name: &str,
    version: &str,
    path: &Path,
    files: &[(String, Vec<u8>)],
) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("write", path);
    let mut zip = ZipWriter::new(File::create(path).map_err(failed())?);
    let options = SimpleFileOptions::default();
    let mut add = |name: &str, content: &[u8]| {
        zip.start_file(name, options)
            .map_err(std::io::Error::other)
            .and_then(|()| zip.write_all(content))
            .map_err(failed())
    };
    for (name, content) in files {
        add(name, content)?;
    }
    let about = format!("{}-{version}.dist-info", name.replace('-', "_"));
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    add(&format!("{about}/METADATA"), metadata.as_bytes())?;
    let wheel =
        "Wheel-Version: 1.0\nGenerator: gymcheck\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    add(&format!("{about}/WHEEL"), wheel.as_bytes())?;
    add(&format!("{about}/RECORD"), b"")?;
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
        let mut list = crate::provision::pyodide_list().unwrap();
        let wheel = own_package(&mut list, &code, "0.9", &out).unwrap();
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
        let list: serde_json::Value = serde_json::from_slice(&list.text()).unwrap();
        let own = &list["packages"]["multi-user-gymnasium"];
        assert_eq!(own["version"], "0.9");
        assert_eq!(
            own["sha256"],
            files::sha256_of(&wheel.path).unwrap().unwrap()
        );
        assert!(list["packages"]["numpy"].is_object());
    }
}
