//! What is here, what is missing and how to mend it.

use std::fmt;
use std::path::Path;

use indicatif::BinaryBytes;

use super::browsers;
use super::cache::{CachePart, cache};
use super::disk::{self, Disk};
use super::error::ProvisionError;
use super::home::Home;
use super::python::{host_python, missing_python};
use super::setup::missing_npm;
use super::system::{self, Part};
use super::{assets, network, release};
use crate::causes::with_causes;
use crate::spec::BrowserKind;
use crate::target::PINNED_RELEASE;

const SETUP: &str = "gymcheck setup";

/// Gives a namespace or machine a default route that leads nowhere: enough for browsers to offer
/// peer-to-peer candidates.
const MAKE_ROUTE: &str = "ip link add v0 type veth peer name v1 && ip addr add 10.99.0.1/24 dev v0 && ip link set v0 up && ip link set v1 up && ip route add default via 10.99.0.2";

/// What was found of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The part.
    pub part: String,
    /// How it is with it.
    pub state: State,
    /// Where it is and which version; or what is wrong.
    pub what: String,
    /// The command, or else the act, that mends it, where something is to be mended.
    pub mend: Option<String>,
}

/// How it is with one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// As it should be.
    Ok,
    /// Runs cannot do without it, and it is not there or does not work.
    Missing,
    /// Runs can do without it for now, or only some need it.
    Warning,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Ok => "ok",
            State::Missing => "missing",
            State::Warning => "warning",
        })
    }
}

/// Looks at every part that runs or `setup` need; changes nothing. Reads all third-party assets.
/// `results` is where runs are going to leave theirs.
#[must_use]
pub fn doctor(home: &Home, results: &Path) -> Vec<Finding> {
    let target = target(home);
    let assets = assets_found(home);
    let is_set_up = target.state == State::Ok && assets.state == State::Ok;
    let mut findings = vec![
        Finding::ok("home", home.root().display()),
        // With the target and the assets there, nothing asks for these two any more.
        needed_unless(target.state == State::Ok, python()),
        needed_unless(assets.state == State::Ok, npm()),
        target,
        assets,
    ];
    findings.extend(BrowserKind::ALL.map(|kind| browser(home, kind)));
    findings.push(route());
    findings.push(room(home, results, is_set_up));
    findings
}

impl Finding {
    fn ok(part: &str, what: impl fmt::Display) -> Finding {
        Finding {
            part: part.into(),
            state: State::Ok,
            what: what.to_string(),
            mend: None,
        }
    }

    fn missing(part: &str, what: impl fmt::Display, mend: Option<String>) -> Finding {
        Finding {
            part: part.into(),
            state: State::Missing,
            what: what.to_string(),
            mend,
        }
    }

    /// What an error says, with the mend that it does not say as a command.
    fn failed(part: &str, error: &ProvisionError, mend: Option<String>) -> Finding {
        Finding::missing(part, with_causes(error), mend)
    }

    fn parts_missing(part: &str, missing: &[Part]) -> Finding {
        let names: Vec<&str> = missing.iter().map(|part| part.what.as_str()).collect();
        let mend = system::install_line(&browsers::installable(missing));
        Finding::missing(part, format!("not here: {}", names.join(", ")), mend)
    }
}

fn needed_unless(done: bool, mut finding: Finding) -> Finding {
    if done && finding.state == State::Missing {
        finding.state = State::Warning;
    }
    finding
}

fn python() -> Finding {
    match host_python() {
        Err(error) => Finding::failed("python", &error, None),
        Ok(None) => Finding::parts_missing("python", &missing_python()),
        Ok(Some(python)) => match python.missing() {
            Some(part) => Finding::parts_missing("python", &[part]),
            None => Finding::ok(
                "python",
                format!("{} {}", python.program.display(), python.version),
            ),
        },
    }
}

fn npm() -> Finding {
    match missing_npm() {
        Some(part) => Finding::parts_missing("npm", &[part]),
        None => Finding::ok("npm", "on the PATH"),
    }
}

fn target(home: &Home) -> Finding {
    let part = format!("target {PINNED_RELEASE}");
    match release::pinned_python(home) {
        Ok(python) => Finding::ok(&part, python.display()),
        Err(error) => Finding::failed(&part, &error, Some(SETUP.into())),
    }
}

fn assets_found(home: &Home) -> Finding {
    match assets::verify(home) {
        Ok(assets) => Finding::ok(
            "assets",
            format!(
                "{} third-party files in {}, all as pinned",
                assets.len(),
                home.assets().display()
            ),
        ),
        Err(error) => Finding::failed("assets", &error, Some(SETUP.into())),
    }
}

fn browser(home: &Home, kind: BrowserKind) -> Finding {
    let part = kind.to_string();
    match (
        browsers::find_browser(home, kind),
        browsers::missing(home, kind),
    ) {
        (Ok(browser), _) => Finding::ok(
            &part,
            format!(
                "{} {}, driver {} {}",
                browser.program.display(),
                browser.version,
                browser.driver.display(),
                browser.driver_version
            ),
        ),
        (Err(_), Ok(missing)) if !missing.is_empty() => {
            let mut finding = Finding::parts_missing(&part, &missing);
            let built = missing.iter().any(|part| part.package.is_none());
            let packaged = missing.iter().any(|part| part.package.is_some());
            finding.mend = match (built, packaged) {
                (true, false) => Some(SETUP.into()),
                (true, true) => Some(format!("{SETUP} --yes")),
                (false, _) => finding.mend,
            };
            finding
        }
        (Err(error), _) => Finding::failed(&part, &error, None),
    }
}

/// What the cache takes, and what is free where something is going to be written.
fn room(home: &Home, results: &Path, is_set_up: bool) -> Finding {
    let cache = match cache(home) {
        Ok(cache) => cache,
        Err(error) => return Finding::failed("disk", &error, None),
    };
    let parts = CachePart::ALL.map(|part| {
        let bytes = cache.of(part).map(|holding| holding.bytes).sum();
        (bytes > 0).then(|| format!("{part} {}", BinaryBytes(bytes)))
    });
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let parts = match parts.is_empty() {
        true => String::new(),
        false => format!(" ({})", parts.join(", ")),
    };
    let disks = disk::disks(&disk::places(home.root(), results, is_set_up));
    let free: Vec<String> = disks.iter().map(ToString::to_string).collect();
    let what = format!(
        "the cache takes {}{parts}; {}",
        BinaryBytes(cache.bytes()),
        free.join("; ")
    );
    let scarce: Vec<String> = disks.iter().filter_map(Disk::advice).collect();
    Finding {
        state: if scarce.is_empty() {
            State::Ok
        } else {
            State::Warning
        },
        mend: (!scarce.is_empty()).then(|| scarce.join("\n")),
        ..Finding::ok("disk", what)
    }
}

fn route() -> Finding {
    if network::default_route() {
        return Finding::ok("network", "an interface with a default route");
    }
    Finding::missing(
        "network",
        "no interface with a default route: browsers offer no peer-to-peer candidates, and no game begins",
        Some(MAKE_ROUTE.into()),
    )
}
