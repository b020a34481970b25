//! Packages of the npm registry that no lock knows yet, and what of them answers a public address.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::asset_lock::{Digest, Package, PackageFile, PublicUrl, Source};
use super::assets::{DOWNLOAD_DEADLINE, only_file};
use super::command::Tool;
use super::error::ProvisionError;
use super::files;
use super::home::{Home, HomeLock};
use super::member;
use super::public_address::PackageAddress;

/// How large a file may be that is served besides the one that was asked for.
const LARGEST_NEIGHBOUR: usize = 64 << 20;

/// A package, unpacked.
pub(super) struct NpmPackage {
    pub(super) name: String,
    pub(super) version: String,
    sha256: Digest,
    /// The folder in the archive in which all of it lies.
    root: String,
    /// What it holds, by its path below that.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// What came of asking for a package.
pub(super) enum Got {
    Package(Box<NpmPackage>),
    /// The registry has none.
    None,
}

/// Gets a package from the registry with its client.
///
/// # Errors
/// The client fails in another way than by finding none.
pub(super) fn get(
    home: &Home,
    name: &str,
    version: Option<&str>,
    guard: &HomeLock,
) -> Result<Got, ProvisionError> {
    let downloads = home.downloads();
    files::create_folder(&downloads)?;
    let scratch = tempfile::Builder::new()
        .prefix(files::PARTIAL)
        .tempdir_in(&downloads)
        .map_err(ProvisionError::io("write into", &downloads))?;
    let wanted = format!("{name}@{}", version.unwrap_or("latest"));
    let tool = Tool::new("npm", DOWNLOAD_DEADLINE)
        .args(["pack", "--ignore-scripts", "--pack-destination=."])
        .args([&wanted])
        .within(scratch.path());
    let command = tool.line();
    match tool.run(&home.log("assets"), Some(guard)) {
        Err(ProvisionError::Command { tail, .. }) if says_none(&tail) => return Ok(Got::None),
        done => done?,
    }
    let archive = only_file(scratch.path())?.ok_or_else(|| ProvisionError::Unexpected {
        command: command.clone(),
        what: "did not leave exactly one file".into(),
    })?;
    unpacked(&archive, command).map(|package| Got::Package(Box::new(package)))
}

/// npm's words for a name or a version that nobody published.
fn says_none(tail: &str) -> bool {
    ["code E404", "code ETARGET", "code EINVALIDPACKAGENAME"]
        .iter()
        .any(|code| tail.contains(code))
}

fn unpacked(archive: &Path, command: String) -> Result<NpmPackage, ProvisionError> {
    let failed = || ProvisionError::io("unpack", archive);
    let packed = std::fs::read(archive).map_err(failed())?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
    let mut root = String::new();
    let mut found = BTreeMap::new();
    for entry in tar.entries().map_err(failed())? {
        let mut entry = entry.map_err(failed())?;
        let path = entry
            .path()
            .map_err(failed())?
            .to_string_lossy()
            .into_owned();
        let Some((folder, below)) = path.split_once('/') else {
            continue;
        };
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(failed())?;
            folder.clone_into(&mut root);
            found.insert(below.to_owned(), content);
        }
    }
    let about = found.get("package.json");
    let about: Option<Value> = about.and_then(|text| serde_json::from_slice(text).ok());
    let said = |what: &str| Some(about.as_ref()?[what].as_str()?.to_owned());
    let (Some(name), Some(version)) = (said("name"), said("version")) else {
        return Err(ProvisionError::Unexpected {
            command,
            what: "the package does not say its name and version".into(),
        });
    };
    Ok(NpmPackage {
        name,
        version,
        sha256: Digest::of(&packed),
        root,
        files: found,
    })
}

impl NpmPackage {
    /// The file that stands for what is asked for.
    pub(super) fn file_for(&self, asked: &PackageAddress) -> Option<&str> {
        let paths: Vec<String> = self.files.keys().cloned().collect();
        let found = match &asked.path {
            Some(path) => member::find(&paths, path)?.to_owned(),
            None => self.own_file()?,
        };
        self.files
            .get_key_value(&found)
            .map(|(path, _)| path.as_str())
    }

    /// The file that the package itself names for pages.
    fn own_file(&self) -> Option<String> {
        let about: Value = serde_json::from_slice(self.files.get("package.json")?).ok()?;
        let named = ["jsdelivr", "unpkg", "browser", "main"].iter();
        let mut named = named.filter_map(|field| about[field].as_str());
        named.find_map(|path| {
            let path = path.trim_start_matches("./");
            let with_ending = format!("{path}.js");
            [path, &with_ending]
                .into_iter()
                .find(|path| self.files.contains_key(*path))
                .map(str::to_owned)
        })
    }

    /// What answers an address: the file, and what a page takes from beside it without naming it, as a
    /// library's WebAssembly or a stylesheet's fonts.
    pub(super) fn answer(&self, url: &PublicUrl, file: &str, asked: &PackageAddress) -> Package {
        let mut files = vec![self.file(file, url.clone())];
        if asked.has_neighbours {
            files.extend(self.neighbours(url.as_str(), file));
        }
        if file.ends_with(".css") {
            files.extend(self.referred(url.as_str(), file));
        }
        let mut seen = std::collections::HashSet::new();
        files.retain(|file| seen.insert(file.url.clone()));
        self.package(files)
    }

    /// The package with these of its files.
    pub(super) fn package(&self, files: Vec<PackageFile>) -> Package {
        Package {
            source: Source::Npm,
            name: self.name.clone(),
            version: self.version.clone(),
            sha256: self.sha256.clone(),
            files,
        }
    }

    /// A file at an address.
    pub(super) fn file(&self, path: &str, url: PublicUrl) -> PackageFile {
        let content = self.files.get(path).map_or(&[][..], Vec::as_slice);
        let in_archive = format!("{}/{path}", self.root);
        PackageFile::of(Some(&in_archive), url, media_type(path), content)
    }

    fn neighbours(&self, url: &str, file: &str) -> Vec<PackageFile> {
        let (folder, own_name) = split(file);
        let (base, asked_name) = split(url);
        // Where the file stands in for one of another name, nothing beside it is where it should be.
        if own_name != asked_name {
            return Vec::new();
        }
        let beside = self.files.iter().filter(|(path, content)| {
            let (of, name) = split(path);
            of == folder && is_taken(name) && *path != file && content.len() <= LARGEST_NEIGHBOUR
        });
        let answered = beside.filter_map(|(path, _)| {
            let url = PublicUrl::try_from(format!("{base}{}", split(path).1)).ok()?;
            Some(self.file(path, url))
        });
        answered.collect()
    }

    /// What a stylesheet takes from places that it names from where it stands.
    fn referred(&self, url: &str, file: &str) -> Vec<PackageFile> {
        let text = self
            .files
            .get(file)
            .map(|text| String::from_utf8_lossy(text));
        let text = text.unwrap_or_default();
        let named = text.split("url(").skip(1).filter_map(|rest| {
            let name = rest.split(')').next()?.trim().trim_matches(['"', '\'']);
            let name = name.split(['?', '#']).next()?;
            let here = url::Url::parse("https://package/").ok()?.join(file).ok()?;
            let within = here.join(name).ok()?;
            let there = url::Url::parse(url).ok()?.join(name).ok()?;
            (within.host_str() == Some("package"))
                .then(|| (within.path().trim_start_matches('/').to_owned(), there))
        });
        let held = named.filter(|(path, _)| self.files.contains_key(path));
        let answered = held.filter_map(|(path, there)| {
            let url = PublicUrl::try_from(String::from(there)).ok()?;
            Some(self.file(&path, url))
        });
        answered.collect()
    }
}

/// The folder with a slash at its end, and the name.
fn split(path: &str) -> (&str, &str) {
    match path.rfind('/') {
        Some(at) => path.split_at(at + 1),
        None => ("", path),
    }
}

/// Whether scripts and styles take such a file from beside them.
fn is_taken(name: &str) -> bool {
    let kinds = [
        "js", "mjs", "wasm", "css", "woff", "woff2", "data", "svg", "png",
    ];
    let kind = name.rsplit_once('.').map(|(_, kind)| kind);
    kind.is_some_and(|kind| kinds.contains(&kind))
}

/// The media type of a file.
pub(super) fn media_type(path: &str) -> &'static str {
    mime_guess::from_path(path)
        .first_raw()
        .unwrap_or("application/octet-stream")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An archive as npm packs it.
    pub(in crate::provision) fn archive(path: &Path, files: &[(&str, &str)]) {
        let file = std::fs::File::create(path).unwrap();
        let packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut tar = tar::Builder::new(packer);
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("package/{name}"), content.as_bytes())
                .unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
    }

    fn package(files: &[(&str, &str)]) -> NpmPackage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tgz");
        archive(&path, files);
        unpacked(&path, "npm".into()).unwrap()
    }

    fn asked(path: Option<&str>) -> PackageAddress {
        PackageAddress {
            names: vec!["lib".into()],
            version: Some("1".into()),
            path: path.map(str::to_owned),
            has_neighbours: true,
        }
    }

    fn urls(package: &Package) -> Vec<&str> {
        package.files.iter().map(|file| file.url.as_str()).collect()
    }

    const ABOUT: (&str, &str) = (
        "package.json",
        r#"{ "name": "lib", "version": "1.2.3", "main": "./dist/lib" }"#,
    );

    #[test]
    fn a_library_comes_with_what_it_loads_from_beside_it() {
        let package = package(&[
            ABOUT,
            ("dist/lib.min.js", "run()"),
            ("dist/lib.wasm", "wasm"),
            ("dist/lib.min.js.map", "map"),
            ("dist/types/lib.js", "deeper"),
            ("src/lib.js", "source"),
        ]);
        let url = "https://cdnjs.example/ajax/libs/lib/1.2.3/lib.min.js";
        let asked = asked(Some("lib.min.js"));
        let file = package.file_for(&asked).unwrap();
        assert_eq!(
            (file, package.version.as_str()),
            ("dist/lib.min.js", "1.2.3")
        );
        let locked = package.answer(&url.to_owned().try_into().unwrap(), file, &asked);
        assert_eq!(
            urls(&locked),
            [url, "https://cdnjs.example/ajax/libs/lib/1.2.3/lib.wasm"]
        );
        assert_eq!(
            locked.files[0].path.as_deref(),
            Some("package/dist/lib.min.js")
        );
        let types: Vec<String> = locked
            .files
            .iter()
            .map(|file| file.item().media_type)
            .collect();
        assert_eq!(types, ["text/javascript", "application/wasm"]);
    }

    #[test]
    fn a_file_that_stands_in_for_one_of_another_name_comes_alone() {
        let package = package(&[ABOUT, ("src/lib.js", "run()"), ("src/other.js", "more()")]);
        let url = "https://cdn.example/npm/lib@1.2.3/src/lib.min.js";
        let asked = asked(Some("src/lib.min.js"));
        let file = package.file_for(&asked).unwrap();
        let locked = package.answer(&url.to_owned().try_into().unwrap(), file, &asked);
        assert_eq!(urls(&locked), [url]);
    }

    #[test]
    fn a_stylesheet_comes_with_its_fonts() {
        let css = "a { src: url(../fonts/a.woff2?v=1) } b { src: url('data:x') } \
                   c { src: url(https://elsewhere.example/c.png), url(\"../none.svg\") }";
        let package = package(&[
            ABOUT,
            ("dist/css/lib.css", css),
            ("dist/fonts/a.woff2", "font"),
        ]);
        let url = "https://cdn.example/npm/lib@1/dist/css/lib.css";
        let asked = asked(Some("dist/css/lib.css"));
        let locked = package.answer(
            &url.to_owned().try_into().unwrap(),
            "dist/css/lib.css",
            &asked,
        );
        assert_eq!(
            urls(&locked),
            [url, "https://cdn.example/npm/lib@1/dist/fonts/a.woff2"]
        );
    }

    #[test]
    fn a_package_says_itself_which_file_pages_take() {
        let package = package(&[ABOUT, ("dist/lib.js", "run()")]);
        assert_eq!(package.file_for(&asked(None)), Some("dist/lib.js"));
        assert_eq!(package.file_for(&asked(Some("none.js"))), None);
    }

    #[test]
    fn npm_says_that_there_is_none() {
        assert!(says_none(
            "npm error code ETARGET\nnpm error notarget No matching version"
        ));
        assert!(says_none("npm error code E404"));
        assert!(!says_none("npm error code ECONNREFUSED"));
    }
}
