//! Getting what runs need, and saying what is missing.

use clap::Args;
use gymcheck::provision::{self, Finding, Home, SetupOptions, State};
use gymcheck::report::ExitStatus;
use gymcheck::run::{find_root, get_supplies};
use gymcheck::spec::{BrowserKind, Catalogue, PlayerName};
use gymcheck::stage::{Network, on_signal};
use gymcheck::target::{ExperimentName, PINNED_RELEASE, TargetName};

use super::assets::PageAssets;
use super::run::OUT;
use super::run::parse_experiment;
use super::{Outcome, parse_target};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck setup --yes
      all that runs of the pinned release need, system packages included
  gymcheck setup --target ../mug
      also what a checkout needs: its dependencies, and the libraries, the Pyodide and the Python packages
      that its page asks for, from npm and the Python package index, locked with their digests
  gymcheck setup --experiment \"python -m my_study --port {port}\"
      also what the page of your own experiment asks for";

#[derive(Args)]
pub(super) struct SetupArguments {
    /// Also install system packages that are missing (browsers, drivers)
    #[arg(long)]
    yes: bool,
    /// Also get what this target needs, and what its page asks for: another release, as mug@0.1.3, or the
    /// path of a checkout. It is started once for that
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    target: Vec<TargetName>,
    /// What the target serves instead of each spec's own experiment, as `gymcheck run` takes it
    #[arg(long, value_name = "EXPERIMENT", value_parser = parse_experiment)]
    experiment: Option<ExperimentName>,
    /// Also get the Selenium Grid (and Java, with --yes) that gymcheck's own tests of `--webdriver` run against;
    /// runs on a grid of yours do not need it
    #[arg(long)]
    grid: bool,
    #[command(flatten)]
    assets: PageAssets,
}

pub(super) fn set_up(arguments: &SetupArguments) -> Outcome {
    let home = Home::locate()?;
    let options = SetupOptions {
        install_system_packages: arguments.yes,
        browsers: BrowserKind::ALL.to_vec(),
        targets: arguments.target.clone(),
        grid: arguments.grid,
    };
    provision::setup(&home, &options)?;
    get_what_pages_ask_for(arguments)?;
    anstream::println!("all that runs need is in {}", home.root().display());
    Ok(ExitStatus::AsExpected)
}

/// The lock was made for the pinned release with the specs' own experiments; all others are looked at. A
/// server that runs already would get a participant by that: it is left alone.
fn get_what_pages_ask_for(arguments: &SetupArguments) -> Result<(), Box<dyn std::error::Error>> {
    let cdn = arguments.assets.cdn()?;
    let pinned = TargetName::Release(PINNED_RELEASE);
    let is_as_locked = arguments.experiment.is_none() && cdn.is_none();
    let mut targets = arguments.target.clone();
    if targets.is_empty() {
        targets.push(pinned.clone());
    }
    targets.retain(|target| match target {
        TargetName::Running(_) => false,
        TargetName::Release(_) | TargetName::Checkout(_) => !is_as_locked || *target != pinned,
    });
    if targets.is_empty() {
        return Ok(());
    }
    on_signal(|_| {})?;
    let catalogue = Catalogue::read(&find_root())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let without = &arguments.assets.without;
    for target in &targets {
        let experiment = arguments.experiment.as_ref();
        let supplies = get_supplies(&catalogue, target, experiment, without, cdn.clone());
        runtime.block_on(supplies)?;
    }
    Ok(())
}

/// Whether players can be hosts of their own here, whose link is cut. Only that way to leave needs it.
fn cut_network() -> std::io::Result<Finding> {
    let runtime = tokio::runtime::Runtime::new()?;
    let laid = runtime.block_on(Network::lay(PlayerName::BOTH));
    let part = "cut-network".to_owned();
    Ok(match laid {
        Ok(_) => Finding {
            part,
            state: State::Ok,
            what: "each player can have a network of its own".to_owned(),
            mend: None,
        },
        Err(error) => Finding {
            part,
            state: State::Warning,
            what: format!("runs in which a player's network is cut are broken here: {error}"),
            mend: Some(error.mend.to_owned()),
        },
    })
}

pub(super) fn doctor() -> Outcome {
    let home = Home::locate()?;
    let results = std::path::absolute(OUT)?;
    let mut findings = provision::doctor(&home, &results);
    findings.push(cut_network()?);
    for finding in &findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Missing => "missing",
        };
        anstream::println!("{state:<8} {:<22} {}", finding.part, finding.what);
        for line in finding.mend.iter().flat_map(|mend| mend.lines()) {
            anstream::println!("{:<8} {:<22} mend: {line}", "", "");
        }
    }
    let missing = findings
        .iter()
        .any(|finding| finding.state == State::Missing);
    Ok(if missing {
        ExitStatus::Broken
    } else {
        ExitStatus::AsExpected
    })
}
