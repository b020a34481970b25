//! Removing what the home folder holds.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::{Process, all_processes};

use super::cache::{Cache, Holding};
use super::compiled;
use super::error::ProvisionError;
use super::files::PARTIAL;
use super::home::{Home, HomeRemoval, IN_USE, LOCK, SLOTS};

/// The folders of the cache that gymcheck makes, and takes away when they are empty.
const FOLDERS: [&str; 7] = [
    "targets",
    "assets",
    "cdn",
    compiled::FOLDER,
    "bin",
    "downloads",
    "logs",
];

impl Cache {
    /// Removes things of the cache, each as a whole: whoever is ended in the middle leaves none that
    /// would count for whole. What gymcheck did not make stays, and so does what is reached through a
    /// link only. `on_removed` hears of each.
    ///
    /// # Errors
    /// A run or a setup is going on, a program of the cache is running, or something cannot be
    /// removed. What was removed until then is gone.
    pub fn remove<'a>(
        &self,
        holdings: impl IntoIterator<Item = &'a Holding>,
        mut on_removed: impl FnMut(&Holding),
    ) -> Result<(), ProvisionError> {
        let holdings: Vec<&Holding> = holdings.into_iter().collect();
        if holdings.is_empty() {
            return Ok(());
        }
        let guard = Home::at(&self.root).for_removal()?;
        for holding in &holdings {
            if let Some(who) = who_runs(&holding.paths) {
                let path = self.root.clone();
                return Err(ProvisionError::InUse { path, who });
            }
        }
        for holding in holdings {
            for path in &holding.paths {
                remove(&self.root, path)?;
            }
            on_removed(holding);
        }
        self.remove_if_empty(guard);
        Ok(())
    }

    /// Of a cache that holds nothing any more nothing is left, neither folder nor lock. What cannot be
    /// removed is not empty, or not ours.
    fn remove_if_empty(&self, guard: HomeRemoval) {
        // Nobody runs: no slot is taken.
        for number in fs::read_dir(self.root.join(SLOTS))
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = fs::remove_file(number.path());
        }
        for folder in FOLDERS.into_iter().chain([SLOTS]) {
            let _ = fs::remove_dir(self.root.join(folder));
        }
        let names: Vec<_> = fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        if names.iter().all(|name| name == LOCK || name == IN_USE) {
            for name in names {
                let _ = fs::remove_file(self.root.join(name));
            }
            let _ = fs::remove_dir(&self.root);
        }
        drop(guard);
    }
}

/// Removes a file, or a folder with all in it. That it is gone already is fine.
fn remove(root: &Path, path: &Path) -> Result<(), ProvisionError> {
    let failed = || ProvisionError::io("remove", path);
    let (Ok(found), Some(parent)) = (path.symlink_metadata(), path.parent()) else {
        return Ok(());
    };
    // A folder above it may have become a link since it was looked at.
    let real = |path: &Path| fs::canonicalize(path).map_err(failed());
    let is_inside = real(parent)?.starts_with(real(root)?);
    if !is_inside || found.is_symlink() {
        return Err(failed()(std::io::Error::other(
            "it is reached through a link; what is behind it is not gymcheck's to remove",
        )));
    }
    if !found.is_dir() {
        return fs::remove_file(path).map_err(failed());
    }
    // From here on it does not count for whole, whatever happens: it is a left-over.
    let scrap = tempfile::Builder::new()
        .prefix(PARTIAL)
        .tempdir_in(parent)
        .map_err(failed())?;
    fs::rename(path, scrap.path()).map_err(failed())?;
    scrap.close().map_err(failed())
}

/// A process whose program is among these, by its file or by the name under which it was started: an
/// environment's Python is a link to the machine's own.
fn who_runs(paths: &[PathBuf]) -> Option<String> {
    let is_among = |program: &Path| paths.iter().any(|path| program.starts_with(path));
    let runs = |process: &Process| {
        let started = process
            .cmdline()
            .ok()
            .and_then(|words| words.into_iter().next());
        started.is_some_and(|word| is_among(Path::new(&word)))
            || process.exe().is_ok_and(|program| is_among(&program))
    };
    let mut processes = all_processes().ok()?.flatten();
    let process = processes.find(|process| runs(process))?;
    let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
    Some(format!("the process {} ({name})", process.pid))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::symlink;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::provision::cache::{CachePart, cache, tests::furnished};

    fn remove_all(home: &Home) -> Result<Vec<String>, ProvisionError> {
        let mut removed = Vec::new();
        let cache = cache(home)?;
        cache.remove(&cache.holdings, |holding| {
            removed.push(holding.name.clone())
        })?;
        Ok(removed)
    }

    #[test]
    fn of_a_home_that_is_emptied_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        furnished(&home);
        assert_eq!(remove_all(&home).unwrap().len(), 8);
        assert!(!home.root().exists());
        furnished(&home);
    }

    #[test]
    fn what_is_not_named_stays() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let before = cache(&home).unwrap();
        before
            .remove(before.of(CachePart::Programs), |_| ())
            .unwrap();
        let after = cache(&home).unwrap();
        assert_eq!(after.holdings.len(), before.holdings.len() - 1);
        assert_eq!(after.of(CachePart::Programs).count(), 0);
        assert!(!home.root().join(".crates.toml").exists());
        assert!(!home.root().join(".crates2.json").exists());
    }

    #[test]
    fn what_gymcheck_did_not_make_stays() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let own = home.downloads().join("thesis.pdf");
        fs::write(&own, "years of work").unwrap();
        remove_all(&home).unwrap();
        assert!(own.exists());
        assert!(!home.targets().exists());
    }

    #[test]
    fn nothing_is_removed_through_a_link_that_came_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let looked_at = cache(&home).unwrap();
        let moved = elsewhere.path().join("targets");
        fs::rename(home.targets(), &moved).unwrap();
        symlink(&moved, home.targets()).unwrap();
        let removed = looked_at.remove(looked_at.of(CachePart::Targets), |_| ());
        let error = removed.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            why.starts_with("it is reached through a link"),
            "{error}: {why}"
        );
        assert!(moved.join("mug-0.1.3/complete.sha256").exists());
    }

    #[test]
    fn links_in_an_environment_go_and_what_they_lead_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        furnished(&home);
        fs::write(elsewhere.path().join("data"), "").unwrap();
        symlink(elsewhere.path(), home.targets().join("mug-0.1.3/lib64")).unwrap();
        remove_all(&home).unwrap();
        assert!(!home.root().exists());
        assert!(elsewhere.path().join("data").exists());
    }

    #[test]
    fn a_home_that_somebody_needs_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let run = home.in_use().unwrap();
        let error = remove_all(&home).unwrap_err().to_string();
        assert!(error.starts_with("a run is using "), "{error}");
        drop(run);
        let setup = home.lock().unwrap();
        let error = remove_all(&home).unwrap_err().to_string();
        assert!(error.starts_with("a setup is using "), "{error}");
        drop(setup);
        assert_eq!(cache(&home).unwrap().holdings.len(), 8);
    }

    #[test]
    fn an_environment_whose_python_runs_stays() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let python = home.targets().join("mug-0.1.3/bin/python");
        fs::create_dir_all(python.parent().unwrap()).unwrap();
        symlink("/usr/bin/tail", &python).unwrap();
        let said = folder.path().join("said");
        fs::write(&said, "it runs\n").unwrap();
        let mut server = Command::new(&python)
            .arg("-f")
            .arg(&said)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A process that has just been started may have no arguments yet.
        let mut line = String::new();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "it runs\n");
        let refused = remove_all(&home);
        let idle = cache(&home).unwrap();
        let other = idle
            .holdings
            .iter()
            .filter(|one| one.name == "mug-needs-a693249b533c");
        let allowed = idle.remove(other, |_| ());
        server.kill().unwrap();
        server.wait().unwrap();
        let error = refused.unwrap_err().to_string();
        let who = format!("the process {} ", server.id());
        assert!(error.starts_with(&who), "{error}");
        allowed.unwrap();
    }
}
