//! What a target's page asks of public hosts, and what answers it here.

use tempfile::TempDir;

use super::PrepareError;
use super::preview::{exact_version, missing_addresses, missing_packages, name_of};
use crate::gateway::{Mirror, MirrorEntry, Preview};
use crate::provision::{self, Asset, Home, Question, Supply};
use crate::spec::{Catalogue, Experiment};
use crate::stage::{self, FirstLook, interrupted};
use crate::target::{ExperimentName, Target, TargetName};

/// Gets beforehand what the pages of a target ask for, as a run of all specs would on its first look.
///
/// # Errors
/// As [`Invocation::look`](super::Invocation::look).
pub async fn get_supplies(
    catalogue: &Catalogue,
    target: &TargetName,
    experiment: Option<&ExperimentName>,
    without: &[String],
) -> Result<(), PrepareError> {
    let home = Home::locate()?;
    let experiments = catalogue.root.join("fixtures/experiments");
    let mut target = provision::target(&home, target, experiment, &experiments)?;
    let specs = catalogue.specs.values();
    let experiments: Vec<&Experiment> = specs.map(|spec| &spec.body.experiment).collect();
    let mut supplies = Supplies::at_hand(home, without)?;
    supplies.look(&mut target, &experiments).await
}

/// What answers a target's page instead of public hosts.
pub(super) struct Supplies {
    home: Home,
    /// What setup has got for every target.
    at_hand: Supply,
    /// What the pages ask for besides.
    addresses: Vec<String>,
    packages: Vec<String>,
    /// Python packages that are left out.
    without: Vec<String>,
    mirror: Mirror,
    /// What was made on the way, until the call ends.
    made: Option<TempDir>,
}

impl Supplies {
    /// What setup has got. Of what pages ask for, the Python packages `without` are left out.
    pub(super) fn at_hand(home: Home, without: &[String]) -> Result<Supplies, PrepareError> {
        let assets = provision::assets(&home)?;
        Ok(Supplies {
            home,
            mirror: mirror_of(&assets),
            at_hand: Supply {
                assets,
                list: provision::pyodide_list()?,
            },
            addresses: Vec::new(),
            packages: Vec::new(),
            without: without.to_vec(),
            made: None,
        })
    }

    /// What answers the pages.
    pub(super) fn mirror(&self) -> Mirror {
        self.mirror.clone()
    }

    /// Looks whether the target starts with each of these experiments, and gets what its page asks for and is
    /// not at hand.
    ///
    /// # Errors
    /// The target cannot be started or serves no page; its page asks for what cannot be had; the call was
    /// interrupted.
    pub(super) async fn look(
        &mut self,
        target: &mut Target,
        experiments: &[&Experiment],
    ) -> Result<(), PrepareError> {
        let mut seen: Vec<&str> = Vec::new();
        for experiment in experiments {
            // One that is served instead of each spec's own is the same for all.
            if seen.contains(&experiment.name.as_str())
                || (target.served().is_some() && !seen.is_empty())
            {
                continue;
            }
            seen.push(&experiment.name);
            let looked = first_look(target, experiment).await?;
            target.learn(looked.is_observed, looked.code);
            self.provide(target, &looked.preview)?;
        }
        Ok(())
    }

    /// Gets what a page asks for and is not at hand. A page installs the release that serves it; a checkout
    /// is no release, nor is what a user's own command starts: such a page gets the files that serve it.
    fn provide(&mut self, target: &Target, preview: &Preview) -> Result<(), PrepareError> {
        let own = target.own_code();
        let own = own.and_then(|code| {
            let version = exact_version(preview, code.package.distribution())?;
            Some((code, version))
        });
        self.take_note(
            preview,
            own.as_ref().map(|(code, _)| code.package.distribution()),
        );
        let mut supply = self.at_hand.clone();
        self.get(target, &mut supply)?;
        let made = TempDir::new()?;
        if let Some((code, version)) = own {
            let wheel = provision::own_package(&mut supply.list, code, &version, made.path())?;
            supply.assets.push(wheel);
        }
        provision::leave_out(&mut supply, &self.question(), made.path())?;
        supply.place_list(made.path())?;
        self.mirror = mirror_of(&supply.assets);
        self.made = Some(made);
        Ok(())
    }

    /// Keeps what a page asks for and is not at hand, with what the pages before it asked for.
    fn take_note(&mut self, preview: &Preview, own: Option<&str>) {
        let addresses = missing_addresses(preview, &mirror_of(&self.at_hand.assets));
        let packages = missing_packages(preview, &self.at_hand.list.packages());
        let packages = packages.into_iter().filter(|wanted| {
            let name = name_of(wanted);
            name.is_none() || name.as_deref() != own
        });
        for (known, new) in [
            (&mut self.addresses, addresses),
            (&mut self.packages, packages.collect()),
        ] {
            for one in new {
                if !known.contains(&one) {
                    known.push(one);
                }
            }
        }
    }

    /// Gets what is not at hand, from where it was got before or from the registries.
    fn get(&self, target: &Target, supply: &mut Supply) -> Result<(), PrepareError> {
        if self.addresses.is_empty() && self.packages.is_empty() {
            return Ok(());
        }
        // Nothing else goes on before the first run.
        let lacking = tokio::task::block_in_place(|| {
            provision::further(&self.home, supply, &self.question())
        })?;
        if lacking.is_empty() {
            return Ok(());
        }
        Err(PrepareError::Lacking {
            target: target.name().to_owned(),
            lacking,
        })
    }

    fn question(&self) -> Question<'_> {
        Question {
            addresses: &self.addresses,
            packages: &self.packages,
            without: &self.without,
        }
    }
}

async fn first_look(target: &Target, experiment: &Experiment) -> Result<FirstLook, PrepareError> {
    let logs = TempDir::new()?;
    tokio::select! {
        looked = stage::preview(target, experiment, logs.path()) => Ok(looked?),
        signal = interrupted() => Err(PrepareError::Interrupted { signal: signal.signal }),
    }
}

fn mirror_of(assets: &[Asset]) -> Mirror {
    let entries = assets.iter().map(|asset| MirrorEntry {
        url: asset.url.clone(),
        path: asset.path.clone(),
        media_type: asset.media_type.clone(),
    });
    Mirror::new(entries.collect())
}
