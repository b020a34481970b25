//! The lock in the user's own folder: what targets asked for that this build's lock does not have, as it was
//! when it was first got.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::asset_lock::{Package, PackageFile, PublicUrl, Source, Text};
use super::error::ProvisionError;
use super::files;
use super::home::Home;
use super::pyodide_list::{ListedPackage, PyodideList};

pub(super) const NAME: &str = "further-assets.toml";

/// What stands at its top.
const ABOUT: &str = "\
# What targets asked for besides what gymcheck's own lock has, each with the digest that it had when it was
# first got; every later call compares. Written by gymcheck. Without this file all of it is got anew.

";

/// The lock.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FurtherLock {
    #[serde(rename = "package", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) packages: Vec<Package>,
    #[serde(rename = "text", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) texts: Vec<Text>,
    #[serde(rename = "pyodide", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pyodides: Vec<OtherPyodide>,
    #[serde(rename = "python", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) resolutions: Vec<Resolution>,
}

/// A Pyodide of another version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtherPyodide {
    /// The public address of the folder with its files.
    pub(super) folder: String,
    /// What its list says of it.
    pub(super) info: serde_json::Value,
    /// What its micropip needs.
    pub(super) packages: Vec<ListedPackage>,
}

/// The Python packages with which a page got what it asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    pub(super) asked: PythonQuestion,
    /// What is in the list besides what was at hand.
    pub(super) packages: Vec<ListedPackage>,
}

/// Which Python packages a page asks for, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PythonQuestion {
    /// The public address of the folder of its Pyodide.
    pub(super) pyodide: String,
    /// As PEP 508 says it, sorted.
    pub(super) wanted: Vec<String>,
    /// What is left out of them, sorted.
    pub(super) without: Vec<String>,
    /// The digest of what was at hand.
    pub(super) at_hand: String,
}

impl FurtherLock {
    /// The lock in this folder; an empty one if there is none.
    pub(super) fn read(home: &Home) -> Result<FurtherLock, ProvisionError> {
        let path = path(home);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(FurtherLock::default())
            }
            Err(error) => Err(ProvisionError::io("read", path)(error)),
            Ok(text) => toml::from_str(&text).map_err(|source| ProvisionError::UserLock {
                path,
                source: Box::new(source),
            }),
        }
    }

    /// Writes it.
    pub(super) fn write(&self, home: &Home) -> Result<(), ProvisionError> {
        let text = toml::to_string(self).map_err(|error| {
            ProvisionError::io("write", path(home))(std::io::Error::other(error))
        })?;
        files::write_whole(&path(home), format!("{ABOUT}{text}").as_bytes())
    }

    /// The package with a file for this address, and that file's.
    pub(super) fn package_for(&self, url: &str) -> Option<&Package> {
        self.packages.iter().find(|package| {
            let mut files = package.files.iter();
            files.any(|file| file.url.as_str() == url)
        })
    }

    /// The text for this address.
    pub(super) fn text_for(&self, url: &str) -> Option<&Text> {
        self.texts.iter().find(|text| text.url.as_str() == url)
    }

    /// The addresses of all its files.
    pub(super) fn urls(&self) -> impl Iterator<Item = &PublicUrl> {
        let files = self.packages.iter().flat_map(|package| &package.files);
        let texts = self.texts.iter().map(|text| &text.url);
        files.map(|file| &file.url).chain(texts)
    }

    /// Whether an address is answered.
    pub(super) fn answers(&self, url: &str) -> bool {
        self.package_for(url).is_some() || self.text_for(url).is_some()
    }

    /// Adds a package, or to a package those of its files that are not there.
    ///
    /// # Errors
    /// The archive of that package was another one when it was first got.
    pub(super) fn add(&mut self, package: Package) -> Result<(), ProvisionError> {
        let new: Vec<PackageFile> = package
            .files
            .iter()
            .filter(|file| !self.answers(file.url.as_str()))
            .cloned()
            .collect();
        let known = self.packages.iter_mut().find(|known| {
            (known.source, &known.name, &known.version)
                == (package.source, &package.name, &package.version)
        });
        match known {
            None => self.packages.push(Package {
                files: new,
                ..package
            }),
            Some(known) if known.sha256 == package.sha256 => known.files.extend(new),
            Some(known) => {
                return Err(ProvisionError::Hash {
                    what: format!("the archive of {} {}", package.name, package.version),
                    expected: known.sha256.as_str().to_owned(),
                    found: package.sha256.as_str().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// What was found for a question before.
    pub(super) fn resolution(&self, asked: &PythonQuestion) -> Option<&Resolution> {
        self.resolutions
            .iter()
            .find(|resolution| resolution.asked == *asked)
    }
}

impl OtherPyodide {
    /// Its list, with what its micropip needs.
    pub(super) fn list(&self, lock: &FurtherLock) -> Result<PyodideList, ProvisionError> {
        let mut list = PyodideList::new(&self.folder, self.info.clone());
        enter_all(&mut list, &self.packages, lock)?;
        Ok(list)
    }
}

/// Enters packages whose wheels a lock has into a list.
pub(super) fn enter_all(
    list: &mut PyodideList,
    packages: &[ListedPackage],
    lock: &FurtherLock,
) -> Result<(), ProvisionError> {
    for package in packages {
        let url = list.beside(&package.file_name);
        let wheels = lock.packages.iter().flat_map(|package| &package.files);
        let wheel = wheels
            .clone()
            .find(|file| file.url.as_str() == url)
            .ok_or_else(|| ProvisionError::Inconsistent {
                name: NAME,
                what: format!("{} needs {url}, which no package answers", package.name),
            })?;
        list.enter(package, wheel.sha256.as_str())?;
    }
    Ok(())
}

/// The package that a wheel is, to be served at an address.
pub(super) fn wheel(name: &str, version: &str, url: PublicUrl, content: &[u8]) -> Package {
    let file = PackageFile::of(None, url, "application/zip", content);
    Package {
        source: Source::Pypi,
        name: name.to_owned(),
        version: version.to_owned(),
        sha256: file.sha256.clone(),
        files: vec![file],
    }
}

fn path(home: &Home) -> PathBuf {
    home.root().join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> PublicUrl {
        text.to_owned().try_into().unwrap()
    }

    fn package(content: &[u8], at: &str) -> Package {
        wheel("walker", "1.0", url(at), content)
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert!(FurtherLock::read(&home).unwrap().packages.is_empty());
        let mut lock = FurtherLock::default();
        lock.add(package(b"abc", "https://cdn.example/full/a.whl"))
            .unwrap();
        lock.texts.push(Text {
            url: url("https://fonts.example/css?family=A"),
            media_type: "text/css".into(),
            content: "body {}\n".into(),
        });
        lock.pyodides.push(OtherPyodide {
            folder: "https://cdn.example/full/".into(),
            info: serde_json::json!({ "version": "0.27.7" }),
            packages: Vec::new(),
        });
        lock.write(&home).unwrap();
        let again = FurtherLock::read(&home).unwrap();
        assert!(again.answers("https://fonts.example/css?family=A"));
        assert!(again.answers("https://cdn.example/full/a.whl"));
        assert_eq!(
            again.pyodides[0].list(&again).unwrap().info("version"),
            "0.27.7"
        );
    }

    #[test]
    fn a_lock_that_was_damaged_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        fs::write(path(&home), "[[package]]\nsource = \"gems\"\n").unwrap();
        let error = FurtherLock::read(&home).unwrap_err().to_string();
        assert!(
            error.contains(NAME) && error.contains("remove it"),
            "{error}"
        );
    }

    #[test]
    fn an_archive_that_changed_since_it_was_locked_is_refused() {
        let mut lock = FurtherLock::default();
        lock.add(package(b"abc", "https://cdn.example/a.whl"))
            .unwrap();
        lock.add(package(b"abc", "https://cdn.example/b.whl"))
            .unwrap();
        assert_eq!((lock.packages.len(), lock.packages[0].files.len()), (1, 2));
        let error = lock
            .add(package(b"other", "https://cdn.example/c.whl"))
            .unwrap_err();
        assert!(matches!(error, ProvisionError::Hash { .. }), "{error}");
    }
}
