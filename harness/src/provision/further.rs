//! What a target's page asks for that this build's lock does not have: resolved by rule to packages of the
//! registries, got, locked in the user's folder, and found again there.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pep508_rs::{Requirement, VersionOrUrl};

use super::asset_lock::{PublicUrl, Text};
use super::assets;
use super::error::ProvisionError;
use super::files;
use super::further_lock::{
    FurtherLock, OtherPyodide, PythonQuestion, Resolution, enter_all, wheel,
};
use super::home::{Home, HomeLock};
use super::npm_package::{self, Got, NpmPackage};
use super::progress::{self, Step};
use super::public_address::{self, FontFamily, NO_RULE, PackageAddress, PublicFile};
use super::pyodide_list::{self, ListedPackage, PyodideList};
use super::python_wheels::{Found, Search};
use super::supply::{
    Question, Supply, folder_of, placeholder, pyodide_among, stand_ins, wheels_at_hand,
};
use super::{archive, release};

/// Adds to what is at hand what a page asks for besides: from the user's folder, where it was got before, or
/// else from the registries. Gives what cannot be had, each with the reason.
///
/// What was got before is compared with its digest. That is a matter of seconds the first time, and said on
/// standard error.
///
/// # Errors
/// A registry's client fails, or what it gives is not what was locked.
pub fn further(
    home: &Home,
    supply: &mut Supply,
    question: &Question<'_>,
) -> Result<Vec<String>, ProvisionError> {
    let guard = home.lock()?;
    let mut work = Work {
        home,
        python: release::pinned_python(home)?,
        lock: FurtherLock::read(home)?,
        guard,
    };
    let mut lacking: Vec<String> = work.take_pyodide(supply, question)?.into_iter().collect();
    let pyodide_is_lacking = !lacking.is_empty();
    for address in question.addresses {
        if !(pyodide_is_lacking && is_of_pyodide(address)) {
            lacking.extend(work.take_address(supply, address)?);
        }
    }
    lacking.extend(work.take_packages(supply, question)?);
    Ok(lacking)
}

struct Work<'a> {
    home: &'a Home,
    python: PathBuf,
    lock: FurtherLock,
    guard: HomeLock,
}

impl Work<'_> {
    /// The Pyodide that the page asks for, if it is another one than that at hand.
    fn take_pyodide(
        &mut self,
        supply: &mut Supply,
        question: &Question<'_>,
    ) -> Result<Option<String>, ProvisionError> {
        let asked = pyodide_among(question.addresses);
        let Some((address, version, folder)) =
            asked.filter(|(.., folder)| folder != supply.list.folder())
        else {
            return Ok(None);
        };
        let mut pyodides = self.lock.pyodides.iter();
        let known = pyodides.find(|one| one.folder == folder).cloned();
        let other = match known {
            Some(other) => other,
            None => match self.get_pyodide(&version, &folder)? {
                Ok(other) => other,
                Err(why) => return Ok(Some(format!("{address}: {why}"))),
            },
        };
        supply.use_list(other.list(&self.lock)?)?;
        self.take_folder(supply, &folder)?;
        Ok(None)
    }

    /// Gets a Pyodide from its npm package, with what its micropip needs.
    fn get_pyodide(
        &mut self,
        version: &str,
        folder: &str,
    ) -> Result<Result<OtherPyodide, String>, ProvisionError> {
        let step = Step::begin(format!("getting Pyodide {version}"));
        let Got::Package(package) =
            npm_package::get(self.home, "pyodide", Some(version), &self.guard)?
        else {
            return Ok(Err(format!("the npm registry has no pyodide {version}")));
        };
        let list = package.files.get(pyodide_list::FILE_NAME);
        let Some(own) = list.and_then(|text| PyodideList::read(folder, text)) else {
            return Ok(Err(format!(
                "the npm package pyodide {version} has no {}; Pyodide 0.24 and later can be had",
                pyodide_list::FILE_NAME
            )));
        };
        self.lock_files_of(&package, folder)?;
        let mut packages = Vec::new();
        for name in own.closure("micropip") {
            let listed = own.listed(&name).map(|(listed, _)| listed);
            let pure = listed.filter(|listed| listed.file_name.ends_with("none-any.whl"));
            let Some(listed) = pure else {
                let why = format!("its micropip needs {name}, which is no pure Python");
                return Ok(Err(why));
            };
            packages.push(self.get_wheel(&listed, folder)?);
        }
        let other = OtherPyodide {
            folder: folder.to_owned(),
            info: own.whole_info().clone(),
            packages,
        };
        self.lock.pyodides.push(other.clone());
        self.lock.write(self.home)?;
        step.done();
        Ok(Ok(other))
    }

    /// Locks and places what Pyodide loads of its own package.
    fn lock_files_of(&mut self, package: &NpmPackage, folder: &str) -> Result<(), ProvisionError> {
        let taken = |path: &&String| {
            let kind = path.rsplit_once('.').map(|(_, kind)| kind);
            let loaded = kind.is_some_and(|kind| ["js", "mjs", "wasm", "zip"].contains(&kind));
            loaded && !path.contains('/')
        };
        let mut files = Vec::new();
        for path in package.files.keys().filter(taken) {
            let url = public_url(format!("{folder}{path}"))?;
            self.place(&url, &package.files[path])?;
            files.push(package.file(path, url));
        }
        self.lock.add(package.package(files))
    }

    /// Gets one wheel of this very version, without what it needs.
    fn get_wheel(
        &mut self,
        listed: &ListedPackage,
        folder: &str,
    ) -> Result<ListedPackage, ProvisionError> {
        let scratch = self.scratch()?;
        let wheel_path = assets::download_wheel(
            self.home,
            &self.python,
            &listed.name,
            &listed.version,
            scratch.path(),
            &self.guard,
        )?;
        let file_name = name_of_file(&wheel_path);
        self.lock_wheel(
            &listed.name,
            &listed.version,
            &wheel_path,
            &format!("{folder}{file_name}"),
        )?;
        Ok(ListedPackage {
            file_name,
            ..listed.clone()
        })
    }

    fn lock_wheel(
        &mut self,
        name: &str,
        version: &str,
        path: &Path,
        url: &str,
    ) -> Result<(), ProvisionError> {
        let content = fs::read(path).map_err(ProvisionError::io("read", path))?;
        let url = public_url(url.to_owned())?;
        self.place(&url, &content)?;
        self.lock.add(wheel(name, version, url, &content))
    }

    /// A file at an address, if a package has it.
    fn take_address(
        &mut self,
        supply: &mut Supply,
        address: &str,
    ) -> Result<Option<String>, ProvisionError> {
        let Some(url) = public_address::written(address) else {
            return Ok(Some(format!("{address}: {NO_RULE}")));
        };
        if supply.assets.iter().any(|asset| asset.url == url) || url == supply.list.url() {
            return Ok(None);
        }
        if !self.lock.answers(&url) {
            let why = match public_address::read(&url) {
                None => Some(NO_RULE.to_owned()),
                Some(PublicFile::OfPackage(asked)) => self.get_package(&url, &asked)?,
                Some(PublicFile::Fonts(families)) => self.get_fonts(&url, &families)?,
                Some(PublicFile::OfPyodide { .. }) => {
                    Some("Pyodide's package has no such file".to_owned())
                }
            };
            if let Some(why) = why {
                return Ok(Some(format!("{address}: {why}")));
            }
        }
        self.take_answers(supply, &url)?;
        Ok(None)
    }

    /// Gets what answers an address; gives why nothing does.
    fn get_package(
        &mut self,
        url: &str,
        asked: &PackageAddress,
    ) -> Result<Option<String>, ProvisionError> {
        let step = Step::begin(format!("getting what answers {url}"));
        let version = asked.version.as_deref();
        let mut tried = Vec::new();
        for name in &asked.names {
            let shown = version.map_or(name.clone(), |version| format!("{name} {version}"));
            let Got::Package(package) = npm_package::get(self.home, name, version, &self.guard)?
            else {
                tried.push(format!("the npm registry has no {shown}"));
                continue;
            };
            let Some(file) = package.file_for(asked).map(str::to_owned) else {
                tried.push(format!(
                    "the npm package {name} {} has no such file",
                    package.version
                ));
                continue;
            };
            step.done();
            progress::line(&format!(
                "{url} is answered with {file} of {} {}",
                package.name, package.version
            ));
            let locked = package.answer(&public_url(url.to_owned())?, &file, asked);
            for one in &locked.files {
                let content = one.path.as_deref().and_then(|path| path.split_once('/'));
                let content = content.and_then(|(_, path)| package.files.get(path));
                self.place(&one.url, content.map_or(&[][..], Vec::as_slice))?;
            }
            self.lock.add(locked)?;
            self.lock.write(self.home)?;
            return Ok(None);
        }
        Ok(Some(tried.join("; ")))
    }

    /// Writes a stylesheet for web fonts, over the files of the families' packages.
    fn get_fonts(
        &mut self,
        url: &str,
        families: &[FontFamily],
    ) -> Result<Option<String>, ProvisionError> {
        let step = Step::begin(format!("getting the fonts of {url}"));
        let mut css = String::new();
        for family in families {
            let name = family.package();
            let Got::Package(package) = npm_package::get(self.home, &name, None, &self.guard)?
            else {
                return Ok(Some(format!("the npm registry has no {name}")));
            };
            match self.faces(family, &package)? {
                Some(faces) => css += &faces,
                None => {
                    return Ok(Some(format!(
                        "{name} {} has none of these styles",
                        package.version
                    )));
                }
            }
        }
        self.lock.texts.push(Text {
            url: public_url(url.to_owned())?,
            media_type: "text/css".to_owned(),
            content: css,
        });
        self.lock.write(self.home)?;
        step.done();
        Ok(None)
    }

    /// What a stylesheet says of a family, in Latin; nothing if its package has no style that is asked for.
    /// The files' addresses are ours, relative to the stylesheet's, so that they lead to the mirror.
    fn faces(
        &mut self,
        family: &FontFamily,
        package: &NpmPackage,
    ) -> Result<Option<String>, ProvisionError> {
        let slug = package.name.rsplit('/').next().unwrap_or_default();
        let (mut css, mut files) = (String::new(), Vec::new());
        for style in &family.styles {
            let kind = if style.italic { "italic" } else { "normal" };
            let path = format!("files/{slug}-latin-{}-{kind}.woff2", style.weight);
            let Some(content) = package.files.get(&path) else {
                continue;
            };
            let there = format!(
                "fonts.gstatic.com/s/by-rule/{slug}-{}/{}-{kind}.woff2",
                package.version, style.weight
            );
            css += &format!(
                "@font-face {{\n  font-family: '{}'; font-style: {kind}; font-weight: {}; font-display: swap;\n  \
                 src: url(../{there}) format('woff2');\n}}\n",
                family.name, style.weight
            );
            let url = public_url(format!("https://{there}"))?;
            self.place(&url, content)?;
            files.push(package.file(&path, url));
        }
        if files.is_empty() {
            return Ok(None);
        }
        self.lock.add(package.package(files))?;
        Ok(Some(css))
    }

    /// Gets Python packages, and what they need; gives what cannot be had.
    fn take_packages(
        &mut self,
        supply: &mut Supply,
        question: &Question<'_>,
    ) -> Result<Vec<String>, ProvisionError> {
        if question.wanted().is_empty() {
            return Ok(Vec::new());
        }
        let unreadable: Vec<String> = question
            .packages
            .iter()
            .filter(|wanted| !is_named(wanted))
            .map(|wanted| {
                format!("the Python package {wanted} in the browser: it is no name of a package")
            })
            .collect();
        if !unreadable.is_empty() {
            return Ok(unreadable);
        }
        let asked = asked_of(supply, question);
        let resolution = match self.lock.resolution(&asked) {
            Some(resolution) => resolution.clone(),
            None => match self.resolve(supply, question, asked)? {
                Ok(resolution) => resolution,
                Err(why) => return Ok(why),
            },
        };
        for listed in &resolution.packages {
            let url = supply.list.beside(&listed.file_name);
            self.take_answers(supply, &url)?;
        }
        enter_all(&mut supply.list, &resolution.packages, &self.lock)?;
        Ok(Vec::new())
    }

    fn resolve(
        &mut self,
        supply: &Supply,
        question: &Question<'_>,
        asked: PythonQuestion,
    ) -> Result<Result<Resolution, Vec<String>>, ProvisionError> {
        let step = Step::begin(format!(
            "getting for Pyodide {}: {}",
            supply.list.info("version"),
            question.wanted().join(", ")
        ));
        let scratch = self.scratch()?;
        let mut at_hand = wheels_at_hand(supply);
        for name in question.without {
            let placeholder = placeholder(name, question, scratch.path())?;
            at_hand.insert(placeholder.package.file_name, placeholder.path);
        }
        let elsewhere = stand_ins(supply, scratch.path())?;
        let pyodide = folder_of(supply).filter(|_| elsewhere.is_empty());
        at_hand.extend(elsewhere);
        let found = Search {
            home: self.home,
            guard: &self.guard,
            python: &self.python,
            list: &supply.list,
            at_hand,
            pyodide,
            folder: scratch.path(),
        }
        .wheels(&asked.wanted)?;
        let wheels = match found {
            Found::Wheels(wheels) => wheels,
            Found::Nothing(why) => return Ok(Err(why)),
        };
        for (listed, path) in &wheels {
            let url = supply.list.beside(&listed.file_name);
            self.lock_wheel(&listed.name, &listed.version, path, &url)?;
        }
        let packages = wheels.into_iter().map(|(listed, _)| listed).collect();
        let resolution = Resolution { asked, packages };
        self.lock.resolutions.push(resolution.clone());
        self.lock.write(self.home)?;
        step.done();
        Ok(Ok(resolution))
    }

    /// All that is locked below an address.
    fn take_folder(&self, supply: &mut Supply, folder: &str) -> Result<(), ProvisionError> {
        let packages = self.lock.packages.iter().filter(|package| {
            let mut files = package.files.iter();
            files.any(|file| file.url.as_str().starts_with(folder))
        });
        let urls: Vec<String> = packages
            .filter_map(|package| package.files.first())
            .map(|file| file.url.as_str().to_owned())
            .collect();
        for url in urls {
            self.take_answers(supply, &url)?;
        }
        Ok(())
    }

    /// What answers an address, and what came with it, each compared with its digest and got again if it is no
    /// longer whole.
    fn take_answers(&self, supply: &mut Supply, url: &str) -> Result<(), ProvisionError> {
        let folder = self.home.assets();
        let mut items = Vec::new();
        if let Some(text) = self.lock.text_for(url) {
            let item = text.item();
            if let Some(content) = &item.content {
                files::write_whole(&folder.join(&item.path), content)?;
            }
            items.push(item);
            // The files that it names are of ours, and named nowhere else.
            for named in text.content.split("url(../").skip(1) {
                let named = named.split(')').next().unwrap_or_default();
                self.take_answers(supply, &format!("https://{named}"))?;
            }
        }
        if let Some(package) = self.lock.package_for(url) {
            if !assets::is_whole(&folder, package)? {
                let archive = assets::download(self.home, package, &self.python, &self.guard)?;
                archive::unpack(&archive, package, &folder)?;
                fs::remove_file(&archive).map_err(ProvisionError::io("remove", &archive))?;
            }
            items.extend(package.files.iter().map(|file| file.item()));
        }
        for item in items {
            let asset = assets::found(&folder, item)?;
            if supply.assets.iter().all(|known| known.url != asset.url) {
                supply.assets.push(asset);
            }
        }
        Ok(())
    }

    fn place(&self, url: &PublicUrl, content: &[u8]) -> Result<(), ProvisionError> {
        files::write_whole(&self.home.assets().join(url.relative_path()), content)
    }

    fn scratch(&self) -> Result<tempfile::TempDir, ProvisionError> {
        let downloads = self.home.downloads();
        files::create_folder(&downloads)?;
        tempfile::Builder::new()
            .prefix(files::PARTIAL)
            .tempdir_in(&downloads)
            .map_err(ProvisionError::io("write into", downloads))
    }
}

fn is_of_pyodide(address: &str) -> bool {
    let address = public_address::written(address);
    let file = address.and_then(|address| public_address::read(&address));
    matches!(file, Some(PublicFile::OfPyodide { .. }))
}

fn asked_of(supply: &Supply, question: &Question<'_>) -> PythonQuestion {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list.dedup();
        list
    };
    PythonQuestion {
        pyodide: supply.list.folder().to_owned(),
        wanted: sorted(&question.wanted()),
        without: sorted(question.without),
        at_hand: files::sha256(&supply.list.text()),
    }
}

/// Whether something that is asked for is a package by its name, and no address.
fn is_named(wanted: &str) -> bool {
    Requirement::<url::Url>::from_str(wanted)
        .is_ok_and(|wanted| !matches!(wanted.version_or_url, Some(VersionOrUrl::Url(_))))
}

fn name_of_file(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn public_url(url: String) -> Result<PublicUrl, ProvisionError> {
    PublicUrl::try_from(url).map_err(|what| ProvisionError::Inconsistent {
        name: "further-assets.toml",
        what,
    })
}
