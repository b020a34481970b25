//! The caches of a browser that has had the page's libraries and has compiled them: later browsers begin with
//! a copy of these, and need not do it again.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::Browser;
use super::copies::{copy_below, files_below};
use super::error::ProvisionError;
use super::files;
use super::home::Home;
use crate::spec::BrowserKind;

/// The folder in the home folder.
pub(super) const FOLDER: &str = "compiled";

/// The folders of Chromium's profile with what it has got, and with what it made of that.
const CACHES: [&str; 2] = ["Default/Cache", "Default/Code Cache"];

/// Whether a folder of this name holds such caches: `chrome-156.0.8078.108-0123456789ab`.
pub(super) fn is_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let [kind, version, digest] = parts.as_slice() else {
        return false;
    };
    let all = |text: &str, is_fit: fn(char) -> bool| !text.is_empty() && text.chars().all(is_fit);
    let is_kind = BrowserKind::ALL.iter().any(|one| one.to_string() == *kind);
    is_kind
        && all(version, |one| one.is_ascii_digit() || one == '.')
        && all(digest, |one| one.is_ascii_hexdigit())
}

/// Which browser's caches, how they are made, and of which files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    home: Home,
    folder: PathBuf,
}

impl Compiled {
    /// Those of a browser that has had these files, by their public addresses, and has done with them what a
    /// recipe says. None where a file is not the home folder's own: what is made for one call alone is not worth
    /// it.
    #[must_use]
    pub fn of<'a>(
        home: &Home,
        browser: &Browser,
        recipe: &str,
        files: impl IntoIterator<Item = (&'a str, &'a Path)>,
    ) -> Option<Compiled> {
        let assets = home.assets();
        let mut known = Vec::new();
        for (url, path) in files {
            let found = path.starts_with(&assets).then(|| fs::metadata(path));
            let found = found?.ok()?;
            let changed = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            known.push(format!("{url} {} {}", found.len(), changed.as_nanos()));
        }
        known.sort();
        known.push(recipe.to_owned());
        let digest = hex::encode(Sha256::digest(known.join("\n")));
        let name = format!("{}-{}-{}", browser.kind, browser.version, &digest[..12]);
        Some(Compiled {
            home: home.clone(),
            folder: home.root().join(FOLDER).join(name),
        })
    }

    /// Where they are, if they are there.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.is_dir().then_some(self.folder.as_path())
    }

    /// Keeps those of a profile whose browser has ended. What is there already stays.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn keep(&self, profile: &Path) -> Result<(), ProvisionError> {
        // Nobody removes things meanwhile.
        let _in_use = self.home.in_use()?;
        let above = self.home.root().join(FOLDER);
        files::create_folder(&above)?;
        let partial = tempfile::Builder::new()
            .prefix(files::PARTIAL)
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(&above)
            .map_err(ProvisionError::io("write into", &above))?;
        let copy = |file: PathBuf| copy_below(&file, profile, partial.path());
        cache_files(profile)
            .and_then(|files| files.into_iter().try_for_each(copy))
            .map_err(ProvisionError::io("copy", profile))?;
        match fs::rename(partial.path(), &self.folder) {
            // Another gymcheck was faster.
            Err(_) if self.folder.is_dir() => Ok(()),
            renamed => renamed.map_err(ProvisionError::io("write", &self.folder)),
        }
    }
}

/// The files of the caches of a profile, by their paths in it.
///
/// # Errors
/// The profile cannot be read, or has no such caches.
pub(crate) fn cache_files(profile: &Path) -> io::Result<Vec<PathBuf>> {
    let each: io::Result<Vec<_>> = CACHES
        .iter()
        .map(|cache| files_below(profile, cache))
        .collect();
    Ok(each?.concat())
}

#[cfg(test)]
mod tests {
    use walkdir::WalkDir;

    use super::*;

    fn browser(version: &str) -> Browser {
        Browser {
            kind: BrowserKind::Chrome,
            program: PathBuf::from("chromium"),
            driver: PathBuf::from("chromedriver"),
            version: version.to_owned(),
            driver_version: version.to_owned(),
        }
    }

    #[test]
    fn caches_are_those_of_one_browser_and_of_these_very_files_made_in_one_way() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let file = home.assets().join("a.js");
        fs::create_dir_all(home.assets()).unwrap();
        fs::write(&file, "1").unwrap();
        let made = |version: &str, recipe: &str, url: &str, path: &Path| {
            let compiled = Compiled::of(&home, &browser(version), recipe, [(url, path)]);
            compiled.map(|compiled| compiled.folder)
        };
        let of = |version: &str, url: &str, path: &Path| made(version, "visit", url, path);
        let one = of("1.2", "cdn/a.js", &file).unwrap();
        assert!(is_name(&one.file_name().unwrap().to_string_lossy()));
        assert_eq!(of("1.2", "cdn/a.js", &file), Some(one.clone()));
        assert_ne!(of("1.3", "cdn/a.js", &file), Some(one.clone()));
        assert_ne!(of("1.2", "cdn/b.js", &file), Some(one.clone()));
        assert_ne!(
            made("1.2", "visit twice", "cdn/a.js", &file),
            Some(one.clone())
        );
        fs::write(&file, "22").unwrap();
        assert_ne!(of("1.2", "cdn/a.js", &file), Some(one));
        // What was made for one call alone is not kept.
        let passing = folder.path().join("passing.js");
        fs::write(&passing, "1").unwrap();
        assert_eq!(of("1.2", "cdn/a.js", &passing), None);
    }

    #[test]
    fn of_a_profile_the_caches_are_kept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let compiled = Compiled::of(&home, &browser("1"), "visit", []).unwrap();
        let profile = folder.path().join("profile");
        let write = |name: &str| {
            let path = profile.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        };
        for name in [
            "Default/Cache/a/b",
            "Default/Code Cache/wasm/c",
            "Default/Cookies",
            "Local State",
        ] {
            write(name);
        }
        compiled.keep(&profile).unwrap();
        let kept = compiled.folder().unwrap();
        let files = WalkDir::new(kept).sort_by_file_name().into_iter().flatten();
        let files = files.filter(|entry| entry.file_type().is_file());
        let files = files.map(|entry| entry.path().strip_prefix(kept).unwrap().to_owned());
        assert_eq!(
            files.collect::<Vec<_>>(),
            [
                Path::new("Default/Cache/a/b"),
                Path::new("Default/Code Cache/wasm/c")
            ]
        );
        // What is there stays, and nothing half-made lies beside it.
        fs::remove_file(profile.join("Default/Cache/a/b")).unwrap();
        compiled.keep(&profile).unwrap();
        assert!(kept.join("Default/Cache/a/b").is_file());
        assert_eq!(fs::read_dir(home.root().join(FOLDER)).unwrap().count(), 1);
    }
}
