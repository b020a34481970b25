//! What the home folder holds: each thing that gymcheck made there, told from what it did not make.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::WalkDir;

use super::asset_lock::{AssetLock, PublicUrl};
use super::environment::{LAST_USED, STAMP};
use super::error::ProvisionError;
use super::files::PARTIAL;
use super::further_lock::{self, FurtherLock};
use super::home::{Home, IN_USE, LOCK, SLOTS};
use super::{assets, cdn, compiled, disk, grid};
use crate::target::Package;

/// A part of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CachePart {
    /// The targets' Python environments.
    Targets,
    /// The page's third-party files.
    Assets,
    /// What `--assets cdn` took from public hosts.
    Recorded,
    /// The page's libraries as browsers have compiled them.
    Compiled,
    /// Programs that were built for gymcheck.
    Programs,
    /// The Selenium Grid against which gymcheck is tested.
    Grid,
    /// Archives between their download and their unpacking.
    Downloads,
    /// What external commands said.
    Logs,
    /// What was being made when a setup was broken off.
    LeftOvers,
}

impl CachePart {
    /// All of them.
    pub const ALL: [CachePart; 9] = [
        CachePart::Targets,
        CachePart::Assets,
        CachePart::Recorded,
        CachePart::Compiled,
        CachePart::Programs,
        CachePart::Grid,
        CachePart::Downloads,
        CachePart::Logs,
        CachePart::LeftOvers,
    ];

    /// By this name a user asks for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CachePart::Targets => "targets",
            CachePart::Assets => "assets",
            CachePart::Recorded => "recorded",
            CachePart::Compiled => "compiled",
            CachePart::Programs => "programs",
            CachePart::Grid => "grid",
            CachePart::Downloads => "downloads",
            CachePart::Logs => "logs",
            CachePart::LeftOvers => "left-overs",
        }
    }

    /// What it is for, and how it comes back.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            CachePart::Targets => {
                "Python environments of targets; setup makes that of the pinned release again, a run the others"
            }
            CachePart::Assets => "the page's third-party files; setup gets them again",
            CachePart::Recorded => {
                "what --assets cdn took from public hosts; the next such call takes it again"
            }
            CachePart::Compiled => {
                "those files as browsers have compiled them; the next run has them compiled again"
            }
            CachePart::Programs => {
                "geckodriver; where there is no other, setup builds it again, which takes minutes"
            }
            CachePart::Grid => {
                "the Selenium Grid of gymcheck's own tests; `setup --grid` gets it again"
            }
            CachePart::Downloads => "archives that a setup had got and not yet unpacked",
            CachePart::Logs => "what apt-get, pip, npm and cargo said",
            CachePart::LeftOvers => "half-made files of a setup that was broken off; of no use",
        }
    }
}

impl fmt::Display for CachePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One thing in the cache, which is removed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The part of the cache that it belongs to.
    pub part: CachePart,
    /// Its name; a part that has but one thing has its name in common with it.
    pub name: String,
    /// Where it is. What makes it count as whole comes first.
    pub(super) paths: Vec<PathBuf>,
    /// What it takes on the disk.
    pub bytes: u64,
    /// When it was whole.
    pub made: Option<SystemTime>,
    /// When a run last asked for it, where that is noted.
    pub used: Option<SystemTime>,
    /// Whether it can be used.
    pub is_whole: bool,
}

/// What the home folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The home folder.
    pub root: PathBuf,
    /// What gymcheck made there.
    pub holdings: Vec<Holding>,
    /// What it did not make, or what is reached through a link only. None of it is ever removed.
    pub foreign: Vec<PathBuf>,
}

/// Looks at what the home folder holds. Changes nothing, and makes nothing.
///
/// # Errors
/// The folder is there and cannot be read.
pub fn cache(home: &Home) -> Result<Cache, ProvisionError> {
    let mut survey = Survey {
        home,
        hosts: folders_of_assets(home)?,
        cache: Cache {
            root: home.root().to_owned(),
            holdings: Vec::new(),
            foreign: Vec::new(),
        },
        partial: Vec::new(),
    };
    // Whoever made anything here took the lock before it.
    let is_home = is_empty_file(&home.root().join(LOCK));
    survey.look(is_home)?;
    Ok(survey.cache)
}

impl Cache {
    /// What all of it takes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.holdings.iter().map(|holding| holding.bytes).sum()
    }

    /// The things of one part.
    pub fn of(&self, part: CachePart) -> impl Iterator<Item = &Holding> {
        self.holdings
            .iter()
            .filter(move |holding| holding.part == part)
    }
}

/// What is being found.
struct Survey<'a> {
    home: &'a Home,
    /// The folders of the assets, one for each public host.
    hosts: Vec<PathBuf>,
    cache: Cache,
    partial: Vec<PathBuf>,
}

impl Survey<'_> {
    fn look(&mut self, is_home: bool) -> Result<(), ProvisionError> {
        let mut cargo_lists = Vec::new();
        for path in entries(self.home.root())? {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            match name {
                _ if !is_home => self.cache.foreign.push(path),
                LOCK | IN_USE => {}
                SLOTS if is_folder(&path) => {}
                _ if is_partial(&path) => self.partial.push(path),
                ".crates.toml" | ".crates2.json" => cargo_lists.push(path),
                further_lock::NAME if is_file(&path) => {}
                cdn::FOLDER | compiled::FOLDER | grid::FOLDER if is_folder(&path) => {}
                "targets" | "assets" | "bin" | "downloads" | "logs" if is_folder(&path) => {}
                _ => self.cache.foreign.push(path),
            }
        }
        if !is_home {
            return Ok(());
        }
        self.targets()?;
        self.assets()?;
        self.recorded()?;
        self.compiled()?;
        self.programs(cargo_lists)?;
        let grid = self.home.root().join(grid::FOLDER);
        self.files(CachePart::Grid, &grid, |name| name == grid::FILE)?;
        self.downloads()?;
        self.logs()?;
        self.left_overs();
        Ok(())
    }

    fn targets(&mut self) -> Result<(), ProvisionError> {
        for path in below(&self.home.targets())? {
            if is_partial(&path) {
                self.partial.push(path);
            } else if is_environment(&path)? {
                let time = |name: &str| modified(&path.join(name));
                self.cache.holdings.push(Holding {
                    part: CachePart::Targets,
                    name: name_of(&path),
                    bytes: disk::taken(&path),
                    made: time(STAMP),
                    used: time(LAST_USED),
                    is_whole: path.join(STAMP).is_file(),
                    paths: vec![path],
                });
            } else {
                self.cache.foreign.push(path);
            }
        }
        Ok(())
    }

    fn assets(&mut self) -> Result<(), ProvisionError> {
        let stamp = assets::stamp(self.home);
        let mut paths = Vec::new();
        for path in below(&self.home.assets())? {
            if is_partial(&path) {
                self.partial.push(path);
            } else if path == stamp && is_file(&path) {
                paths.insert(0, path);
            } else if self.hosts.contains(&path) && is_folder(&path) {
                self.partial.extend(partial_below(&path));
                paths.push(path);
            } else {
                self.cache.foreign.push(path);
            }
        }
        // What is locked in it is among the assets, and is got anew without it.
        let further = self.home.root().join(further_lock::NAME);
        if is_file(&further) {
            paths.insert(paths.len().min(1), further);
        }
        let made = modified(&stamp);
        self.hold(CachePart::Assets, paths, made, made.is_some());
        Ok(())
    }

    fn recorded(&mut self) -> Result<(), ProvisionError> {
        let is_own = |name: &str| {
            let digest = name.strip_suffix(".data").or(name.strip_suffix(".toml"));
            digest.is_some_and(|digest| digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        let folder = self.home.root().join(cdn::FOLDER);
        self.files(CachePart::Recorded, &folder, is_own)
    }

    fn compiled(&mut self) -> Result<(), ProvisionError> {
        for path in below(&self.home.root().join(compiled::FOLDER))? {
            let is_own = compiled::is_name(&name_of(&path)) && is_folder(&path);
            match is_partial(&path) {
                true => self.partial.push(path),
                false if is_own => self.cache.holdings.push(Holding {
                    part: CachePart::Compiled,
                    name: name_of(&path),
                    bytes: disk::taken(&path),
                    made: modified(&path),
                    used: None,
                    is_whole: true,
                    paths: vec![path],
                }),
                false => self.cache.foreign.push(path),
            }
        }
        Ok(())
    }

    /// geckodriver, with Cargo's lists of what it installed here: as long as it stands in them, Cargo
    /// would not build it again.
    fn programs(&mut self, lists: Vec<PathBuf>) -> Result<(), ProvisionError> {
        let program = self.home.bin().join("geckodriver");
        let is_own = is_file(&program)
            && !lists.is_empty()
            && lists.iter().all(|list| lists_geckodriver_alone(list));
        for path in below(&self.home.bin())? {
            match is_partial(&path) {
                true => self.partial.push(path),
                false if is_own && path == program => {}
                false => self.cache.foreign.push(path),
            }
        }
        if !is_own {
            self.cache.foreign.extend(lists);
            return Ok(());
        }
        let made = modified(&program);
        let paths = lists.into_iter().chain([program]).collect();
        self.hold(CachePart::Programs, paths, made, true);
        Ok(())
    }

    fn downloads(&mut self) -> Result<(), ProvisionError> {
        let is_archive = |name: &str| {
            let kinds = [("npm-", ".tgz"), ("pypi-", ".whl")];
            kinds
                .iter()
                .any(|(begin, end)| name.starts_with(begin) && name.ends_with(end))
        };
        self.files(CachePart::Downloads, &self.home.downloads(), is_archive)
    }

    fn logs(&mut self) -> Result<(), ProvisionError> {
        let is_log = |name: &str| {
            ["target", "assets", "geckodriver", "system"].contains(&stem(name, ".log"))
        };
        self.files(CachePart::Logs, &self.home.logs(), is_log)
    }

    /// The files of a folder that has nothing else.
    fn files(
        &mut self,
        part: CachePart,
        folder: &Path,
        is_own: impl Fn(&str) -> bool,
    ) -> Result<(), ProvisionError> {
        let mut paths = Vec::new();
        for path in below(folder)? {
            if is_partial(&path) {
                self.partial.push(path);
            } else if is_own(&name_of(&path)) && is_file(&path) {
                paths.push(path);
            } else {
                self.cache.foreign.push(path);
            }
        }
        let made = paths.iter().filter_map(|path| modified(path)).max();
        self.hold(part, paths, made, true);
        Ok(())
    }

    fn left_overs(&mut self) {
        let paths = std::mem::take(&mut self.partial);
        let inside = |holding: &Holding, path: &Path| {
            holding.paths.iter().any(|whole| path.starts_with(whole))
        };
        for path in &paths {
            let bytes = disk::taken(path);
            for holding in &mut self.cache.holdings {
                if inside(holding, path) {
                    holding.bytes = holding.bytes.saturating_sub(bytes);
                }
            }
        }
        let made = paths.iter().filter_map(|path| modified(path)).max();
        self.hold(CachePart::LeftOvers, paths, made, false);
    }

    /// Adds the only thing of a part, if there is any.
    fn hold(
        &mut self,
        part: CachePart,
        paths: Vec<PathBuf>,
        made: Option<SystemTime>,
        is_whole: bool,
    ) {
        if paths.is_empty() {
            return;
        }
        self.cache.holdings.push(Holding {
            part,
            name: part.name().to_owned(),
            bytes: paths.iter().map(|path| disk::taken(path)).sum(),
            paths,
            made,
            used: None,
            is_whole,
        });
    }
}

fn folders_of_assets(home: &Home) -> Result<Vec<PathBuf>, ProvisionError> {
    let items = AssetLock::embedded()?.items()?;
    // What a user's lock that cannot be read names is left alone.
    let further = FurtherLock::read(home).unwrap_or_default();
    let further = further.urls().map(PublicUrl::relative_path);
    let paths = items.into_iter().map(|item| item.path).chain(further);
    let hosts = paths.filter_map(|path| Some(home.assets().join(path.iter().next()?)));
    Ok(hosts.collect())
}

/// What is in a folder, by name; nothing if there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ProvisionError> {
    let failed = || ProvisionError::io("look into", folder);
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(failed())?,
    };
    let mut paths = Vec::new();
    for entry in found {
        paths.push(entry.map_err(failed())?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The same of a part's folder; nothing if it is a link.
fn below(folder: &Path) -> Result<Vec<PathBuf>, ProvisionError> {
    match is_folder(folder) {
        true => entries(folder),
        false => Ok(Vec::new()),
    }
}

/// Whether a folder is an environment of a target, if perhaps a half-made one.
fn is_environment(path: &Path) -> Result<bool, ProvisionError> {
    let is_named = Package::BOTH.iter().any(|package| {
        name_of(path)
            .strip_prefix(package.name())
            .is_some_and(|rest| rest.starts_with('-'))
    });
    if !is_named || !is_folder(path) {
        return Ok(false);
    }
    let begun = ["bin", "include", "lib", "lib64"];
    let is_begun = |inside: &PathBuf| begun.contains(&name_of(inside).as_str());
    let inside = entries(path)?;
    Ok(path.join("pyvenv.cfg").is_file() || inside.iter().all(is_begun))
}

/// Whether Cargo's list of what it installed in a folder names geckodriver and nothing else.
fn lists_geckodriver_alone(list: &Path) -> bool {
    let text = fs::read_to_string(list).unwrap_or_default();
    let is_geckodriver = |name: &String| name.starts_with("geckodriver ");
    if name_of(list).ends_with(".json") {
        let list: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let installed = list["installs"].as_object();
        return installed.is_some_and(|installed| installed.keys().all(is_geckodriver));
    }
    let list: toml::Table = toml::from_str(&text).unwrap_or_default();
    let installed = list.get("v1").and_then(toml::Value::as_table);
    installed.is_some_and(|installed| installed.keys().all(is_geckodriver))
}

/// What setups left half-made below a folder.
fn partial_below(folder: &Path) -> Vec<PathBuf> {
    let below = WalkDir::new(folder).into_iter().flatten();
    let partial = below.filter(|entry| is_partial(entry.path()));
    partial.map(walkdir::DirEntry::into_path).collect()
}

fn is_partial(path: &Path) -> bool {
    name_of(path).starts_with(PARTIAL) && !path.is_symlink()
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

fn is_empty_file(path: &Path) -> bool {
    is_file(path) && path.metadata().is_ok_and(|found| found.len() == 0)
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.symlink_metadata().ok()?.modified().ok()
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn stem<'a>(name: &'a str, end: &str) -> &'a str {
    name.strip_suffix(end).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::provision::files;

    /// A home as setup leaves it, in little.
    pub(in crate::provision) fn furnished(home: &Home) {
        drop(home.lock().unwrap());
        let write = |path: &str, text: &str| {
            files::write_whole(&home.root().join(path), text.as_bytes()).unwrap();
        };
        for environment in ["mug-0.1.3", "mug-needs-a693249b533c"] {
            write(
                &format!("targets/{environment}/pyvenv.cfg"),
                "home = /usr/bin",
            );
            write(&format!("targets/{environment}/complete.sha256"), "00");
        }
        write("assets/complete.sha256", "00");
        write("assets/cdn.jsdelivr.net/lib.js", "alert(1)");
        write("assets/cdnjs.cloudflare.com/ajax/libs/a/1/a.js", "alert(2)");
        let further = "[[text]]\nurl = \"https://cdnjs.cloudflare.com/ajax/libs/a/1/a.js\"\n\
                       media_type = \"text/javascript\"\ncontent = \"alert(2)\"\n";
        write("further-assets.toml", further);
        write("cdn/0123456789abcdef.data", "alert(3)");
        write("cdn/0123456789abcdef.toml", "url = \"\"");
        write(
            "compiled/chrome-156.0.1.2-0123456789ab/Default/Cache/a",
            "compiled",
        );
        write("bin/geckodriver", "a program");
        write(
            ".crates.toml",
            "[v1]\n\"geckodriver 0.37.1 (registry)\" = [\"geckodriver\"]",
        );
        write(
            ".crates2.json",
            r#"{"installs": {"geckodriver 0.37.1 (registry)": {}}}"#,
        );
        write("downloads/npm-lib-1.0.0.tgz", "packed");
        write("logs/target.log", "$ pip");
        write("slots/0", "");
    }

    fn found(home: &Home) -> Vec<(CachePart, String, bool)> {
        let cache = cache(home).unwrap();
        let holdings = cache.holdings.into_iter();
        let told = holdings.map(|one| (one.part, one.name, one.is_whole));
        told.collect()
    }

    fn foreign(home: &Home) -> Vec<String> {
        let foreign = cache(home).unwrap().foreign;
        let told = foreign
            .iter()
            .map(|path| path.strip_prefix(home.root()).unwrap());
        told.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn each_thing_is_found_in_its_part() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        assert_eq!(found(&home), []);
        furnished(&home);
        let whole = |part: CachePart, name: &str| (part, name.to_owned(), true);
        assert_eq!(
            found(&home),
            [
                whole(CachePart::Targets, "mug-0.1.3"),
                whole(CachePart::Targets, "mug-needs-a693249b533c"),
                whole(CachePart::Assets, "assets"),
                whole(CachePart::Recorded, "recorded"),
                whole(CachePart::Compiled, "chrome-156.0.1.2-0123456789ab"),
                whole(CachePart::Programs, "programs"),
                whole(CachePart::Downloads, "downloads"),
                whole(CachePart::Logs, "logs"),
            ]
        );
        assert_eq!(foreign(&home), [""; 0]);
    }

    #[test]
    fn what_a_setup_left_half_made_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let size = |name: &str| {
            let cache = cache(&home).unwrap();
            cache
                .holdings
                .iter()
                .find(|one| one.name == name)
                .unwrap()
                .bytes
        };
        let whole = size("assets");
        fs::remove_file(home.targets().join("mug-0.1.3/complete.sha256")).unwrap();
        fs::create_dir_all(home.targets().join("interactive_gym-0.1.0/include")).unwrap();
        let half = [
            home.downloads().join(".partial-x/half"),
            home.assets().join("cdn.jsdelivr.net/.partial-y"),
        ];
        for path in &half {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![1; 1 << 16]).unwrap();
        }
        let useless: Vec<String> = found(&home)
            .into_iter()
            .filter(|(_, _, is_whole)| !is_whole)
            .map(|(_, name, _)| name)
            .collect();
        assert_eq!(
            useless,
            ["interactive_gym-0.1.0", "mug-0.1.3", "left-overs"]
        );
        assert!(size("left-overs") >= 2 << 16);
        assert_eq!(size("assets"), whole, "what is half-made counts once");
    }

    #[test]
    fn what_somebody_else_put_there_is_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let expected = [
            "notes.txt",
            "assets/own",
            "cdn/own.data",
            "compiled/own",
            "bin/own",
            "downloads/thesis.pdf",
            "logs/own.log",
            "targets/mug-study",
            "targets/study",
        ];
        for path in expected {
            let path = home.root().join(path);
            if path.starts_with(home.targets()) {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("data.csv"), "").unwrap();
            } else {
                fs::write(path, "").unwrap();
            }
        }
        let mut foreign = foreign(&home);
        foreign.sort();
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(foreign, expected);
    }

    #[test]
    fn what_is_reached_through_a_link_is_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let moved = elsewhere.path().join("targets");
        fs::rename(home.targets(), &moved).unwrap();
        symlink(&moved, home.targets()).unwrap();
        symlink(elsewhere.path(), home.assets().join("fonts.gstatic.com")).unwrap();
        symlink(elsewhere.path(), home.downloads().join("npm-lib-2.0.0.tgz")).unwrap();
        assert!(
            !found(&home)
                .iter()
                .any(|(part, ..)| *part == CachePart::Targets)
        );
        let expected = [
            "targets",
            "assets/fonts.gstatic.com",
            "downloads/npm-lib-2.0.0.tgz",
        ];
        assert_eq!(foreign(&home), expected);
    }

    #[test]
    fn in_a_folder_that_is_no_home_all_is_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        for lock in ["not empty", ""] {
            fs::write(home.root().join(LOCK), lock).unwrap();
            assert_eq!(found(&home).is_empty(), !lock.is_empty());
        }
        fs::remove_file(home.root().join(LOCK)).unwrap();
        assert_eq!(found(&home), []);
        assert_eq!(foreign(&home).len(), 11);
    }

    #[test]
    fn programs_of_somebody_elses_cargo_are_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        furnished(&home);
        let list = home.root().join(".crates2.json");
        fs::write(
            list,
            r#"{"installs": {"geckodriver 1": {}, "ripgrep 1": {}}}"#,
        )
        .unwrap();
        assert!(
            !found(&home)
                .iter()
                .any(|(part, ..)| *part == CachePart::Programs)
        );
        assert_eq!(
            foreign(&home),
            ["bin/geckodriver", ".crates.toml", ".crates2.json"]
        );
    }
}
