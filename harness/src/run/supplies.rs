//! What a target's page asks of public hosts, and what answers it here.

use super::PrepareError;
use super::preview::{missing_addresses, missing_packages, name_of, version_for};
use crate::gateway::{Mirror, MirrorEntry, Preview};
use crate::provision::{self, Asset, Cdn, Home, Question, Supply};
use crate::spec::{Catalogue, Experiment};
use crate::stage::{self, FirstLook, TemporaryFolder, interrupted};
use crate::target::{Code, ExperimentName, Target, TargetName};

/// Gets beforehand what the pages of a target ask for, as a run of all specs would on its first look.
///
/// # Errors
/// As [`Invocation::look`](super::Invocation::look).
pub async fn get_supplies(
    catalogue: &Catalogue,
    target: &TargetName,
    experiment: Option<&ExperimentName>,
    without: &[String],
    cdn: Option<Cdn>,
) -> Result<(), PrepareError> {
    let home = Home::locate()?;
    let experiments = catalogue.root.join("fixtures/experiments");
    let mut target = provision::target(&home, target, experiment, &experiments)?;
    let specs = catalogue.specs.values();
    let experiments: Vec<&Experiment> = specs.map(|spec| &spec.body.experiment).collect();
    let mut supplies = Supplies::at_hand(home, without, cdn)?;
    supplies.look(&mut target, &experiments).await?;
    supplies.record().await
}

/// What answers a target's page instead of public hosts.
pub(super) struct Supplies {
    home: Home,
    /// What setup has got for every target.
    at_hand: Supply,
    /// What the pages ask for.
    addresses: Vec<String>,
    packages: Vec<String>,
    /// Python packages that are left out.
    without: Vec<String>,
    /// Who is asked for addresses that are not at hand, instead of the registries.
    cdn: Option<Cdn>,
    mirror: Mirror,
    /// What was made on the way, until the call ends.
    made: Option<TemporaryFolder>,
}

impl Supplies {
    /// What setup has got. Of what pages ask for, the Python packages `without` are left out; with a `cdn`,
    /// addresses that are not at hand are taken from the network.
    pub(super) fn at_hand(
        home: Home,
        without: &[String],
        cdn: Option<Cdn>,
    ) -> Result<Supplies, PrepareError> {
        let assets = provision::assets(&home)?;
        Ok(Supplies {
            home,
            mirror: mirror_of(&assets, None),
            at_hand: Supply {
                assets,
                list: provision::pyodide_list()?,
            },
            addresses: Vec::new(),
            packages: Vec::new(),
            without: without.to_vec(),
            cdn,
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
            self.provide(target, &looked.preview).await?;
        }
        Ok(())
    }

    /// Gets what a page asks for and is not at hand. A page installs the release that serves it; a checkout
    /// is no release, nor is what a user's own command starts: such a page gets the files that serve it.
    async fn provide(&mut self, target: &Target, preview: &Preview) -> Result<(), PrepareError> {
        let own = own_package(target, preview)?;
        let own_name = own.as_ref().map(|(code, _)| code.package.distribution());
        self.take_note(preview, own_name);
        let mut supply = self.at_hand.clone();
        let question = self.ask(&mut supply).await?;
        self.get(target, &mut supply, &question)?;
        let made = TemporaryFolder::new()?;
        if let Some((code, version)) = own {
            let wheel = provision::own_package(&mut supply.list, code, &version, made.path())?;
            supply.assets.push(wheel);
        }
        provision::leave_out(&mut supply, &self.question(&self.packages), made.path())?;
        supply.place_list(made.path())?;
        self.mirror = mirror_of(&supply.assets, self.cdn.as_ref());
        self.made = Some(made);
        Ok(())
    }

    /// Keeps what a page asks for, with what the pages before it asked for.
    fn take_note(&mut self, preview: &Preview, own: Option<&str>) {
        let packages = preview.packages.iter().filter(|wanted| {
            let name = name_of(wanted);
            name.is_none() || name.as_deref() != own
        });
        add_new(&mut self.packages, packages);
        add_new(&mut self.addresses, preview.addresses.iter());
    }

    /// What of that is not at hand: addresses, and Python packages.
    async fn ask(&self, supply: &mut Supply) -> Result<(Vec<String>, Vec<String>), PrepareError> {
        let addresses = match &self.cdn {
            None => missing_addresses(&self.addresses, &mirror_of(&supply.assets, None)),
            Some(cdn) => {
                provision::list_of_cdn(cdn, supply, &self.addresses).await?;
                Vec::new()
            }
        };
        let packages = missing_packages(&self.packages, &supply.list.packages());
        Ok((addresses, packages))
    }

    /// Gets what is not at hand, from where it was got before or from the registries.
    fn get(
        &self,
        target: &Target,
        supply: &mut Supply,
        (addresses, packages): &(Vec<String>, Vec<String>),
    ) -> Result<(), PrepareError> {
        if addresses.is_empty() && packages.is_empty() {
            return Ok(());
        }
        let question = Question {
            addresses,
            ..self.question(packages)
        };
        // This may take a while; nothing else goes on before the first run.
        let got = provision::further(&self.home, supply, &question);
        let lacking = got.map_err(|error| PrepareError::not_got(target, &question, error))?;
        if lacking.is_empty() {
            return Ok(());
        }
        Err(PrepareError::Lacking {
            target: target.name().to_owned(),
            lacking,
        })
    }

    fn question<'a>(&'a self, packages: &'a [String]) -> Question<'a> {
        Question {
            addresses: &[],
            packages,
            without: &self.without,
        }
    }

    /// Takes from the network what the pages name, so that runs find it recorded.
    async fn record(&self) -> Result<(), PrepareError> {
        let Some(cdn) = &self.cdn else {
            return Ok(());
        };
        for address in missing_addresses(&self.addresses, &self.mirror) {
            let address = address.trim();
            let rest = ["https://", "http://", "//"]
                .iter()
                .find_map(|scheme| address.strip_prefix(scheme));
            let recorded = cdn.get(rest.unwrap_or(address), None).await;
            recorded.map_err(|error| PrepareError::Provision(Box::new(error).into()))?;
        }
        Ok(())
    }
}

/// A target's own code that a page gets instead of a published package, and the version that it gets it as.
fn own_package<'a>(
    target: &'a Target,
    preview: &Preview,
) -> Result<Option<(&'a Code, String)>, PrepareError> {
    let Some(code) = target.own_code() else {
        return Ok(None);
    };
    let said = code.version();
    let version = version_for(preview, code.package.distribution(), said.as_deref());
    let version = version.map_err(|asked| PrepareError::NoVersion {
        target: target.name().to_owned(),
        asked,
        said: said.unwrap_or_else(|| "none".to_owned()),
    })?;
    Ok(version.map(|version| (code, version)))
}

fn add_new<'a>(known: &mut Vec<String>, new: impl Iterator<Item = &'a String>) {
    for one in new {
        if !known.contains(one) {
            known.push(one.clone());
        }
    }
}

async fn first_look(target: &Target, experiment: &Experiment) -> Result<FirstLook, PrepareError> {
    let logs = TemporaryFolder::new()?;
    tokio::select! {
        looked = stage::preview(target, experiment, logs.path()) => Ok(looked?),
        signal = interrupted() => Err(PrepareError::Interrupted { signal: signal.signal }),
    }
}

fn mirror_of(assets: &[Asset], cdn: Option<&Cdn>) -> Mirror {
    let entries = assets.iter().map(|asset| MirrorEntry {
        url: asset.url.clone(),
        path: asset.path.clone(),
        media_type: asset.media_type.clone(),
    });
    match cdn {
        None => Mirror::new(entries.collect()),
        Some(cdn) => Mirror::with_cdn(entries.collect(), cdn.clone()),
    }
}
