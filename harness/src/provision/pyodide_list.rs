//! Pyodide's list of its packages, `pyodide-lock.json`: what a page's micropip finds before it asks a
//! package index.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ProvisionError;

/// The name of the list beside Pyodide's other files.
pub(super) const FILE_NAME: &str = "pyodide-lock.json";

/// Pyodide's list of its packages, as it is served to a page.
#[derive(Debug, Clone, PartialEq)]
pub struct PyodideList {
    /// The public address of the folder with Pyodide's files, with a slash at its end.
    folder: String,
    info: Value,
    packages: Map<String, Value>,
}

/// A package as the list has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListedPackage {
    /// As a package index normalises it: `typing-extensions`.
    pub(super) name: String,
    pub(super) version: String,
    /// Beside the list.
    pub(super) file_name: String,
    /// Of packages that are listed as well.
    pub(super) depends: Vec<String>,
    pub(super) imports: Vec<String>,
}

/// One package in the format of the list.
#[derive(Serialize)]
struct Entry<'a> {
    depends: &'a [String],
    file_name: &'a str,
    imports: &'a [String],
    install_dir: &'a str,
    name: &'a str,
    package_type: &'a str,
    sha256: &'a str,
    shared_library: bool,
    unvendored_tests: bool,
    version: &'a str,
}

impl PyodideList {
    /// A list without packages; `info` says of which Pyodide.
    pub(super) fn new(folder: &str, info: Value) -> PyodideList {
        PyodideList {
            folder: folder.to_owned(),
            info,
            packages: Map::new(),
        }
    }

    /// Reads a list that somebody else has made; nothing if it is none.
    pub(super) fn read(folder: &str, text: &[u8]) -> Option<PyodideList> {
        let mut list: Value = serde_json::from_slice(text).ok()?;
        let info = list.get_mut("info")?.take();
        let Value::Object(packages) = list.get_mut("packages")?.take() else {
            return None;
        };
        Some(PyodideList {
            folder: folder.to_owned(),
            info,
            packages,
        })
    }

    /// Enters a package, in place of one of the same name.
    pub(super) fn enter(
        &mut self,
        package: &ListedPackage,
        sha256: &str,
    ) -> Result<(), ProvisionError> {
        let entry = Entry {
            depends: &package.depends,
            file_name: &package.file_name,
            imports: &package.imports,
            install_dir: "site",
            name: &package.name,
            package_type: "package",
            sha256,
            shared_library: false,
            unvendored_tests: false,
            version: &package.version,
        };
        let entry = serde_json::to_value(entry).map_err(|error| ProvisionError::Unexpected {
            command: "entering a package into Pyodide's list".to_owned(),
            what: error.to_string(),
        })?;
        self.packages.insert(package.name.clone(), entry);
        Ok(())
    }

    /// Its text.
    pub(super) fn text(&self) -> Vec<u8> {
        let list = serde_json::json!({ "info": self.info, "packages": self.packages });
        format!("{list:#}\n").into_bytes()
    }

    /// Its public address.
    pub(super) fn url(&self) -> String {
        self.beside(FILE_NAME)
    }

    /// The public address of a file beside it.
    pub(super) fn beside(&self, file_name: &str) -> String {
        format!("{}{file_name}", self.folder)
    }

    /// The public address of the folder with Pyodide's files.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// What it says of its Pyodide: `version`, `python`, `abi_version`.
    pub(super) fn info(&self, what: &str) -> &str {
        self.info[what].as_str().unwrap_or_default()
    }

    /// Name and version of each package.
    #[must_use]
    pub fn packages(&self) -> Vec<(String, String)> {
        let packages = self.packages.iter();
        packages
            .map(|(name, package)| {
                let version = package["version"].as_str().unwrap_or_default();
                (name.clone(), version.to_owned())
            })
            .collect()
    }

    /// Whether it has a package.
    pub(super) fn has(&self, name: &str) -> bool {
        self.packages.contains_key(name)
    }

    /// A package as it stands here, and its file's digest.
    pub(super) fn listed(&self, name: &str) -> Option<(ListedPackage, String)> {
        let package = self.packages.get(name)?;
        let text = |what: &str| Some(package[what].as_str()?.to_owned());
        let texts = |what: &str| -> Option<Vec<String>> {
            let all = package[what].as_array()?.iter();
            all.map(|one| Some(one.as_str()?.to_owned())).collect()
        };
        let listed = ListedPackage {
            name: text("name")?,
            version: text("version")?,
            file_name: text("file_name")?,
            depends: texts("depends")?,
            imports: texts("imports")?,
        };
        Some((listed, text("sha256")?))
    }

    /// The name of a package and of all that it needs.
    pub(super) fn closure(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        let mut next = 0;
        while let Some(name) = names.get(next) {
            let depends = self.packages.get(name).map(|package| &package["depends"]);
            let depends = depends.and_then(Value::as_array).cloned();
            let depends = depends.unwrap_or_default();
            for one in depends.iter().filter_map(Value::as_str) {
                if !names.iter().any(|known| known == one) {
                    names.push(one.to_owned());
                }
            }
            next += 1;
        }
        names
    }

    /// What it says of its Pyodide.
    pub(super) fn whole_info(&self) -> &Value {
        &self.info
    }

    /// What it says of a package: its file's name, and its digest.
    pub(super) fn file_of(&self, name: &str) -> Option<(&str, &str)> {
        let package = self.packages.get(name)?;
        Some((package["file_name"].as_str()?, package["sha256"].as_str()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(version: &str) -> ListedPackage {
        ListedPackage {
            name: "some-walker".into(),
            version: version.into(),
            file_name: format!("some_walker-{version}-py3-none-any.whl"),
            depends: vec!["numpy".into()],
            imports: vec!["walker".into()],
        }
    }

    #[test]
    fn a_package_takes_the_place_of_one_of_the_same_name() {
        let info = serde_json::json!({ "version": "0.26.2" });
        let mut list = PyodideList::new("https://cdn.example/full/", info);
        list.enter(&package("1"), "aa").unwrap();
        list.enter(&package("2"), "bb").unwrap();
        assert_eq!(list.packages(), [("some-walker".into(), "2".into())]);
        assert_eq!(
            list.file_of("some-walker"),
            Some(("some_walker-2-py3-none-any.whl", "bb"))
        );
        let again = PyodideList::read("https://cdn.example/full/", &list.text()).unwrap();
        assert_eq!(again, list);
        assert_eq!(again.info("version"), "0.26.2");
        assert_eq!(again.listed("some-walker").unwrap().0, package("2"));
        assert_eq!(again.closure("some-walker"), ["some-walker", "numpy"]);
    }

    #[test]
    fn what_is_no_list_is_none() {
        for text in ["", "[]", "{}", r#"{"info": {}, "packages": []}"#] {
            assert_eq!(
                PyodideList::read("https://cdn.example/", text.as_bytes()),
                None
            );
        }
    }
}
