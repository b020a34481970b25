//! The lock of the page's third-party assets: what it holds, and what follows from it.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::ProvisionError;
use super::files;
use super::pyodide_list::{self, ListedPackage, PyodideList};

const NAME: &str = "assets.toml";
const TEXT: &str = include_str!("../../../fixtures/assets.toml");

/// The lock.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssetLock {
    #[serde(rename = "package")]
    pub(super) packages: Vec<Package>,
    #[serde(rename = "text")]
    texts: Vec<Text>,
    pyodide: Pyodide,
    /// The SHA-256 of the lock itself.
    #[serde(skip)]
    pub(super) sha256: String,
}

/// A package of a registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Package {
    pub(super) source: Source,
    pub(super) name: String,
    pub(super) version: String,
    /// Of its archive.
    pub(super) sha256: Digest,
    #[serde(rename = "file")]
    pub(super) files: Vec<PackageFile>,
}

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    /// The npm registry; the archive is a gzipped tar.
    Npm,
    /// The Python package index; the archive is a wheel.
    Pypi,
}

/// A file of a package, and the public address that it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackageFile {
    /// Its path in the archive; the archive itself if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    pub(super) url: PublicUrl,
    media_type: String,
    size: u64,
    pub(super) sha256: Digest,
}

/// A file that is written here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    pub(super) url: PublicUrl,
    pub(super) media_type: String,
    pub(super) content: String,
}

impl Text {
    pub(super) fn item(&self) -> Item {
        let content = self.content.clone().into_bytes();
        Item::written(&self.url, &self.media_type, content)
    }
}

/// Pyodide's list of its packages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pyodide {
    url: PublicUrl,
    info: BTreeMap<String, String>,
    #[serde(rename = "package")]
    packages: Vec<ListedPackage>,
}

/// A SHA-256 in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    pub(super) fn of(content: &[u8]) -> Digest {
        Digest(files::sha256(content))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Digest, String> {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() == 64 && text.bytes().all(digit) {
            Ok(Digest(text))
        } else {
            Err(format!("{text:?} is no SHA-256 in lower-case hexadecimal"))
        }
    }
}

/// The address of a file on a public host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct PublicUrl(String);

impl PublicUrl {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Where its file lies below the assets' folder: as the address says, so that one can find it;
    /// a query, which may hold anything, is told by its digest.
    pub(super) fn relative_path(&self) -> PathBuf {
        let (path, query) = split(&self.0);
        match query {
            None => path.into(),
            Some(query) => {
                let digest = files::sha256(query.as_bytes());
                format!("{path}@{}", &digest[..12]).into()
            }
        }
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> String {
        url.0
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<PublicUrl, String> {
        let (path, _) = split(&text);
        let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if text.starts_with("https://") && path.contains('/') && plain && !text.contains('#') {
            Ok(PublicUrl(text))
        } else {
            Err(format!("{text:?} is no plain https address of a file"))
        }
    }
}

/// Host and path, and the query, of an address.
fn split(url: &str) -> (&str, Option<&str>) {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    }
}

/// A file as it must be once everything is there.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) url: String,
    pub(super) media_type: String,
    /// Below the assets' folder.
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) sha256: String,
    /// What is in it, if that follows from the lock alone.
    pub(super) content: Option<Vec<u8>>,
}

impl Item {
    fn written(url: &PublicUrl, media_type: &str, content: Vec<u8>) -> Item {
        Item {
            url: url.0.clone(),
            media_type: media_type.into(),
            path: url.relative_path(),
            size: content.len() as u64,
            sha256: files::sha256(&content),
            content: Some(content),
        }
    }
}

impl PackageFile {
    /// A file of this content; `path` is its own in the archive.
    pub(super) fn of(path: Option<&str>, url: PublicUrl, media_type: &str, content: &[u8]) -> Self {
        PackageFile {
            path: path.map(str::to_owned),
            url,
            media_type: media_type.to_owned(),
            size: content.len() as u64,
            sha256: Digest::of(content),
        }
    }

    pub(super) fn item(&self) -> Item {
        Item {
            url: self.url.0.clone(),
            media_type: self.media_type.clone(),
            path: self.url.relative_path(),
            size: self.size,
            sha256: self.sha256.0.clone(),
            content: None,
        }
    }
}

impl AssetLock {
    /// The lock of this build.
    pub(super) fn embedded() -> Result<AssetLock, ProvisionError> {
        AssetLock::parse(TEXT)
    }

    /// Reads a lock.
    fn parse(text: &str) -> Result<AssetLock, ProvisionError> {
        let mut lock: AssetLock = toml::from_str(text).map_err(|source| ProvisionError::Lock {
            name: NAME,
            source: Box::new(source),
        })?;
        lock.sha256 = files::sha256(text.as_bytes());
        lock.check()?;
        Ok(lock)
    }

    /// Every file that is to be there.
    pub(super) fn items(&self) -> Result<Vec<Item>, ProvisionError> {
        let of_packages = self.packages.iter().flat_map(|package| &package.files);
        let mut items: Vec<Item> = of_packages.map(PackageFile::item).collect();
        items.extend(self.texts.iter().map(Text::item));
        let list = self.pyodide_list()?.text();
        items.push(Item::written(&self.pyodide.url, "application/json", list));
        Ok(items)
    }

    /// Pyodide's list of its packages, in the format of Pyodide 0.26.
    pub(super) fn pyodide_list(&self) -> Result<PyodideList, ProvisionError> {
        let info = serde_json::json!(self.pyodide.info);
        let mut list = PyodideList::new(self.pyodide_folder(), info);
        for package in &self.pyodide.packages {
            list.enter(package, self.file_of(package)?.sha256.as_str())?;
        }
        Ok(list)
    }

    /// The public address of the folder with Pyodide's files, with a slash at its end.
    fn pyodide_folder(&self) -> &str {
        let url = &self.pyodide.url.0;
        url.strip_suffix(pyodide_list::FILE_NAME).unwrap_or(url)
    }

    /// The file that is served for a package of Pyodide.
    fn file_of(&self, package: &ListedPackage) -> Result<&PackageFile, ProvisionError> {
        let url = format!("{}{}", self.pyodide_folder(), package.file_name);
        let mut files = self.packages.iter().flat_map(|package| &package.files);
        files.find(|file| file.url.0 == url).ok_or_else(|| {
            inconsistent(format!(
                "pyodide's {} needs {url}, which no package answers",
                package.name
            ))
        })
    }

    fn check(&self) -> Result<(), ProvisionError> {
        let mut seen = HashSet::new();
        for item in self.items()? {
            if !seen.insert(item.url.clone()) {
                return Err(inconsistent(format!("{} is answered twice", item.url)));
            }
        }
        for package in &self.pyodide.packages {
            let known = |name: &String| {
                self.pyodide
                    .packages
                    .iter()
                    .any(|other| other.name == *name)
            };
            if let Some(unknown) = package.depends.iter().find(|name| !known(name)) {
                return Err(inconsistent(format!(
                    "pyodide's {} depends on {unknown}, which is not listed",
                    package.name
                )));
            }
        }
        Ok(())
    }
}

fn inconsistent(what: String) -> ProvisionError {
    ProvisionError::Inconsistent { name: NAME, what }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A lock of one package with one file and one package of Pyodide, which tests alter.
    fn small() -> String {
        let digest = "ab".repeat(32);
        format!(
            r#"
[[package]]
source = "pypi"
name = "packaging"
version = "23.2"
sha256 = "{digest}"
[[package.file]]
url = "https://cdn.example/full/packaging.whl"
media_type = "application/zip"
size = 3
sha256 = "{digest}"

[[text]]
url = "https://fonts.example/css2?family=Some+Font:wght@400;700"
media_type = "text/css"
content = "body {{}}"

[pyodide]
url = "https://cdn.example/full/pyodide-lock.json"
info = {{ version = "0.26.2" }}
[[pyodide.package]]
name = "packaging"
version = "23.2"
file_name = "packaging.whl"
depends = []
imports = ["packaging"]
"#
        )
    }

    fn refused(text: &str) -> String {
        let error = AssetLock::parse(text).unwrap_err();
        match &error {
            ProvisionError::Lock { source, .. } => source.to_string(),
            _ => error.to_string(),
        }
    }

    #[test]
    fn the_embedded_lock_is_sound() {
        let lock = AssetLock::embedded().unwrap();
        let items = lock.items().unwrap();
        assert_eq!(items.len(), 25);
        assert!(items.iter().all(|item| item.size > 0));
        let wasm = items.iter().filter(|item| item.url.ends_with(".wasm"));
        assert!(wasm.clone().count() >= 1);
        assert!(
            wasm.clone()
                .all(|item| item.media_type == "application/wasm")
        );
        let paths: HashSet<_> = items.iter().map(|item| &item.path).collect();
        assert_eq!(paths.len(), items.len(), "no two files in one place");
    }

    #[test]
    fn a_small_lock_is_read() {
        let lock = AssetLock::parse(&small()).unwrap();
        let items = lock.items().unwrap();
        assert_eq!(lock.packages[0].source, Source::Pypi);
        assert_eq!(
            items[0].path,
            PathBuf::from("cdn.example/full/packaging.whl")
        );
        let query = files::sha256(b"family=Some+Font:wght@400;700");
        assert_eq!(
            items[1].path,
            PathBuf::from(format!("fonts.example/css2@{}", &query[..12]))
        );
        assert_eq!(items[1].content.as_deref(), Some(b"body {}".as_slice()));
    }

    #[test]
    fn pyodides_list_has_the_format_of_its_release() {
        let items = AssetLock::parse(&small()).unwrap().items().unwrap();
        let list = items.last().unwrap();
        assert_eq!(list.url, "https://cdn.example/full/pyodide-lock.json");
        assert_eq!(list.media_type, "application/json");
        let list: Value = serde_json::from_slice(list.content.as_ref().unwrap()).unwrap();
        assert_eq!(
            list,
            serde_json::json!({
                "info": { "version": "0.26.2" },
                "packages": {
                    "packaging": {
                        "depends": [],
                        "file_name": "packaging.whl",
                        "imports": ["packaging"],
                        "install_dir": "site",
                        "name": "packaging",
                        "package_type": "package",
                        "sha256": "ab".repeat(32),
                        "shared_library": false,
                        "unvendored_tests": false,
                        "version": "23.2"
                    }
                }
            })
        );
    }

    #[test]
    fn the_embedded_list_offers_the_target_to_the_page() {
        let items = AssetLock::embedded().unwrap().items().unwrap();
        let list: Value =
            serde_json::from_slice(items.last().unwrap().content.as_ref().unwrap()).unwrap();
        // micropip looks a requirement up under its normalised name.
        let target = &list["packages"]["multi-user-gymnasium"];
        assert_eq!(target["version"], *crate::target::PINNED_RELEASE.version);
        assert_eq!(target["depends"], serde_json::json!(["numpy"]));
    }

    #[test]
    fn what_is_not_sound_is_refused() {
        let with = |from: &str, to: &str| refused(&small().replace(from, to));
        assert!(with("ababab", "ABABAB").contains("no SHA-256"));
        assert!(with("https://cdn", "http://cdn").contains("no plain https address"));
        assert!(with("full/packaging.whl", "../packaging.whl").contains("no plain https address"));
        assert!(with("size = 3", "size = 3\nsizes = 4").contains("unknown field"));
        assert!(with("\"pypi\"", "\"gems\"").contains("unknown variant"));
        assert!(with("file_name = \"p", "file_name = \"q").contains("which no package answers"));
        assert!(with("depends = []", "depends = [\"numpy\"]").contains("depends on numpy"));
        assert!(
            with(
                "https://fonts.example/css2?family=Some+Font:wght@400;700",
                "https://cdn.example/full/packaging.whl"
            )
            .contains("is answered twice")
        );
    }
}
