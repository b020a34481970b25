//! What is at hand for a target's page: its files, and the list of its Pyodide's packages.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::assets::Asset;
use super::cdn::Cdn;
use super::error::ProvisionError;
use super::files;
use super::own_package::write_empty_wheel;
use super::public_address::{self, PublicFile};
use super::pyodide_list::{self, ListedPackage, PyodideList};
use super::python_wheels::{name_of, pinned_version};
use super::wheel::normalised;

/// What a page asks for that is not at hand.
#[derive(Debug)]
pub struct Question<'a> {
    /// Addresses, as they stand in the page.
    pub addresses: &'a [String],
    /// Python packages, as PEP 508 says it.
    pub packages: &'a [String],
    /// Python packages to leave out: an empty one stands for each.
    pub without: &'a [String],
}

impl Question<'_> {
    /// The packages that are not left out.
    pub(super) fn wanted(&self) -> Vec<String> {
        let left_out: Vec<String> = self.without.iter().map(|name| normalised(name)).collect();
        let is_wanted =
            |wanted: &&String| name_of(wanted).is_none_or(|name| !left_out.contains(&name));
        self.packages.iter().filter(is_wanted).cloned().collect()
    }
}

/// What there is now.
#[derive(Debug, Clone)]
pub struct Supply {
    /// The files that are at hand.
    pub assets: Vec<Asset>,
    /// The list of the page's Pyodide. It stands for the asset at its address.
    pub list: PyodideList,
}

impl Supply {
    /// Puts another list in place of the one at hand. What that has and this has not stays, if this one's
    /// Pyodide can load it; what both have is no longer answered with the files at hand.
    pub(super) fn use_list(&mut self, mut list: PyodideList) -> Result<(), ProvisionError> {
        let own = list.packages();
        lend(self, &mut list)?;
        let files = own.iter().filter_map(|(name, _)| list.listed(name));
        let differs = |url: &str, sha256: &str| {
            let known = self.list.packages();
            let mut known = known.iter().filter_map(|(name, _)| self.list.listed(name));
            known.any(|(package, known)| {
                self.list.beside(&package.file_name) == url && known != sha256
            })
        };
        let gone: Vec<String> = files
            .map(|(package, sha256)| (list.beside(&package.file_name), sha256))
            .filter(|(url, sha256)| differs(url, sha256))
            .map(|(url, _)| url)
            .collect();
        self.assets.retain(|asset| !gone.contains(&asset.url));
        self.list = list;
        Ok(())
    }

    /// Writes the list into a folder, and serves it from there.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn place_list(&mut self, folder: &Path) -> Result<(), ProvisionError> {
        let url = self.list.url();
        let path = folder.join(pyodide_list::FILE_NAME);
        files::write_whole(&path, &self.list.text())?;
        self.assets.retain(|asset| asset.url != url);
        self.assets.push(Asset {
            url,
            path,
            media_type: "application/json".to_owned(),
        });
        Ok(())
    }
}

/// Takes the list of the page's Pyodide from the network, with what Pyodide's own host has, in place of the one
/// at hand; what that has and this has not stays, if this Pyodide can load it.
///
/// # Errors
/// The network does not give it, or it is no such list.
pub async fn list_of_cdn(
    cdn: &Cdn,
    supply: &mut Supply,
    addresses: &[String],
) -> Result<(), ProvisionError> {
    let Some((_, _, folder)) = pyodide_among(addresses) else {
        return Ok(());
    };
    let url = format!("{folder}{}", pyodide_list::FILE_NAME);
    let recorded = cdn.get(&url, None).await.map_err(Box::new)?;
    let text = fs::read(&recorded.path).map_err(ProvisionError::io("read", &recorded.path))?;
    let list = PyodideList::read(&folder, &text).ok_or_else(|| ProvisionError::Unexpected {
        command: format!("taking {url}"),
        what: "it is no list of Pyodide's packages".to_owned(),
    })?;
    supply.use_list(list)
}

/// The Pyodide that a page asks for: its address, its version and its folder.
pub(super) fn pyodide_among(addresses: &[String]) -> Option<(String, String, String)> {
    addresses.iter().find_map(|address| {
        let address = public_address::written(address)?;
        match public_address::read(&address)? {
            PublicFile::OfPyodide { version, folder } => Some((address, version, folder)),
            PublicFile::OfPackage(_) | PublicFile::Fonts(_) => None,
        }
    })
}

/// The Python packages with this name and no content, for what is left out.
pub(super) struct Placeholder {
    pub(super) package: ListedPackage,
    pub(super) path: PathBuf,
}

/// Enters what is at hand for one Pyodide into the list of another that can load it: of the same Python and
/// the same ABI.
fn lend(supply: &mut Supply, list: &mut PyodideList) -> Result<(), ProvisionError> {
    let python = |list: &PyodideList| {
        let minor = list.info("python").rsplit_once('.');
        minor.map(|(minor, _)| minor.to_owned())
    };
    let abi = |list: &PyodideList| list.info("abi_version").to_owned();
    if (abi(&supply.list), python(&supply.list)) != (abi(list), python(list)) {
        return Ok(());
    }
    for (name, _) in supply.list.packages() {
        let Some((package, sha256)) = supply.list.listed(&name).filter(|_| !list.has(&name)) else {
            continue;
        };
        let url = supply.list.beside(&package.file_name);
        let mut assets = supply.assets.iter();
        if let Some(asset) = assets.find(|asset| asset.url == url).cloned() {
            list.enter(&package, &sha256)?;
            supply.assets.push(Asset {
                url: list.beside(&package.file_name),
                ..asset
            });
        }
    }
    Ok(())
}

/// Enters an empty package into Pyodide's list for each that is left out, and gives their wheels, which are
/// written into `folder`.
///
/// # Errors
/// The folder cannot be written.
pub fn leave_out(
    supply: &mut Supply,
    question: &Question<'_>,
    folder: &Path,
) -> Result<(), ProvisionError> {
    for name in question.without {
        let empty = placeholder(name, question, folder)?;
        let sha256 = files::sha256_of(&empty.path)?.unwrap_or_default();
        supply.list.enter(&empty.package, &sha256)?;
        supply.assets.push(Asset {
            url: supply.list.beside(&empty.package.file_name),
            path: empty.path,
            media_type: "application/zip".to_owned(),
        });
    }
    Ok(())
}

/// An empty package. If nobody asks for a very version, its own is higher than any that may be asked for.
pub(super) fn placeholder(
    name: &str,
    question: &Question<'_>,
    folder: &Path,
) -> Result<Placeholder, ProvisionError> {
    let name = normalised(name);
    let asked = question
        .packages
        .iter()
        .find(|wanted| name_of(wanted).as_deref() == Some(&*name));
    let version = asked
        .and_then(|wanted| pinned_version(wanted))
        .unwrap_or_else(|| "9999".to_owned());
    let file_name = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
    let path = folder.join(&file_name);
    write_empty_wheel(&name, &version, &path)?;
    let package = ListedPackage {
        name,
        version,
        file_name,
        depends: Vec::new(),
        imports: Vec::new(),
    };
    Ok(Placeholder { package, path })
}

/// Empty wheels for what the list has and a public host serves: pip need not have them to reckon with them.
pub(super) fn stand_ins(
    supply: &Supply,
    folder: &Path,
) -> Result<BTreeMap<String, PathBuf>, ProvisionError> {
    let mut made = BTreeMap::new();
    for (name, version) in supply.list.packages() {
        let Some((file, _)) = supply.list.file_of(&name) else {
            continue;
        };
        let url = supply.list.beside(file);
        if supply.assets.iter().all(|asset| asset.url != url) {
            let file = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
            let path = folder.join(&file);
            write_empty_wheel(&name, &version, &path)?;
            made.insert(file, path);
        }
    }
    Ok(made)
}

pub(super) fn wheels_at_hand(supply: &Supply) -> BTreeMap<String, PathBuf> {
    let names = supply.list.packages();
    let files = names.iter().filter_map(|(name, _)| {
        let (file, _) = supply.list.file_of(name)?;
        let url = supply.list.beside(file);
        let asset = supply.assets.iter().find(|asset| asset.url == url)?;
        Some((file.to_owned(), asset.path.clone()))
    });
    files.collect()
}

/// The folder with the files of the page's Pyodide.
pub(super) fn folder_of(supply: &Supply) -> Option<PathBuf> {
    let url = supply.list.beside("pyodide.js");
    let asset = supply.assets.iter().find(|asset| asset.url == url)?;
    asset.path.parent().map(Path::to_owned)
}
