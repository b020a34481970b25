//! Getting what runs need, and saying what is missing.

use clap::Args;
use gymcheck::provision::{self, Home, SetupOptions, State};
use gymcheck::report::ExitStatus;
use gymcheck::spec::BrowserKind;
use gymcheck::target::TargetName;

use super::run::OUT;
use super::{Outcome, parse_target};

#[derive(Args)]
pub(super) struct SetupArguments {
    /// Also install system packages that are missing (browsers, drivers)
    #[arg(long)]
    yes: bool,
    /// Also install what this target needs: another release, as mug@0.1.3, or the path of a checkout
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    target: Vec<TargetName>,
}

pub(super) fn set_up(arguments: &SetupArguments) -> Outcome {
    let home = Home::locate()?;
    let options = SetupOptions {
        install_system_packages: arguments.yes,
        browsers: BrowserKind::ALL.to_vec(),
        targets: arguments.target.clone(),
    };
    provision::setup(&home, &options)?;
    anstream::println!("all that runs need is in {}", home.root().display());
    Ok(ExitStatus::AsExpected)
}

pub(super) fn doctor() -> Outcome {
    let home = Home::locate()?;
    let results = std::path::absolute(OUT)?;
    let findings = provision::doctor(&home, &results);
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
