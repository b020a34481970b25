//! The runs that one call asks for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::Digest;

use super::{RunRecord, names_all, select_mutants};
use crate::spec::{Catalogue, Mutant, Pair, Repair, Spec, SpecError, each_once, select};

/// Which of a call's targets a run is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The target.
    Target,
    /// The one that it is compared with.
    Against,
}

/// One run that is played: what happens, on which target, with which browsers and which changes,
/// which time; and all specs that judge it.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// The spec whose steps are played.
    pub scenario: &'a Spec,
    /// The specs that judge it.
    pub specs: Vec<&'a Spec>,
    /// The browsers.
    pub pair: Pair,
    /// The repairs to apply, in this order.
    pub repairs: Vec<&'a Repair>,
    /// The mutant, if one is to be applied.
    pub mutant: Option<&'a Mutant>,
    /// Which time, from 1.
    pub repetition: u32,
    /// On which target.
    pub side: Side,
}

/// From how many repairs on a title only counts them.
const MANY_REPAIRS: usize = 3;

impl Item<'_> {
    /// The names of the repairs.
    pub fn repair_names(&self) -> impl Iterator<Item = &str> {
        self.repairs.iter().map(|repair| repair.name.as_str())
    }

    /// In one line, for a person; no two items of a call have the same.
    #[must_use]
    pub fn title(&self) -> String {
        let changes = self.changes();
        format!("{} {}{changes}", self.scenario.name, self.pair)
    }

    /// The folder of its artefacts, below that of all runs.
    #[must_use]
    pub(super) fn folder(&self, attempt: u32) -> PathBuf {
        let mut name = format!("{}{}", self.pair, self.changes().replace(' ', ""));
        if self.repetition > 1 {
            name = format!("{name}.{}", self.repetition);
        }
        if attempt > 1 {
            name = format!("{name}.attempt-{attempt}");
        }
        PathBuf::from(&self.scenario.name).join(name)
    }

    fn changes(&self) -> String {
        let repairs: Vec<&str> = self.repair_names().collect();
        changes(&repairs, self.mutant.map(|mutant| mutant.name.as_str()))
    }

    /// Whether it is the run without the mutant that belongs to the other one.
    #[must_use]
    pub fn is_base_of(&self, other: &Item<'_>) -> bool {
        self.mutant.is_none()
            && self.scenario.name == other.scenario.name
            && self.pair == other.pair
            && self.repetition == other.repetition
            && self.side == other.side
            && self.repair_names().eq(other.repair_names())
    }
}

/// The scenario that a run played, as its folder says, below `--out`.
#[must_use]
pub fn scenario_of(folder: &Path) -> String {
    let mut names = folder.components();
    // The folder of all runs, and the run's own.
    names.next();
    names.next_back();
    names.as_path().display().to_string()
}

/// The changes that a run is played with, in one line, each set of them with a text of its own.
#[must_use]
pub fn changes(repairs: &[impl AsRef<str>], mutant: Option<&str>) -> String {
    let names: Vec<&str> = repairs.iter().map(AsRef::as_ref).collect();
    let mut text = match names.len() {
        0 => String::new(),
        few if few < MANY_REPAIRS => format!(" + {}", names.join(" + ")),
        many => {
            let digest = hex::encode(sha2::Sha256::digest(names.join(" ")));
            format!(" + {many} repairs {}", &digest[..6])
        }
    };
    if let Some(mutant) = mutant {
        text = format!("{text} ~ {mutant}");
    }
    text
}

/// What a call selects.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Specs and folders of specs; all if there are none.
    pub specs: &'a [String],
    /// The pairs, instead of each spec's own.
    pub pairs: Option<&'a [Pair]>,
    /// Repairs by name, `all` for all of them. Mutants name their own.
    pub repairs: &'a [String],
    /// Mutants by name, `all` for all of them; none for plain runs.
    pub mutants: &'a [String],
    /// How often each run is carried out.
    pub repeat: u32,
    /// Whether a second target is run as well.
    pub against: bool,
    /// Whether the target is the pinned release, and whether the second one is.
    pub pinned: [bool; 2],
}

impl Selection<'_> {
    /// The runs, in their order. With mutants: the run without them that each one needs, and the one
    /// with it.
    ///
    /// # Errors
    /// A name that no spec, repair or mutant has.
    pub fn items<'a>(&self, catalogue: &'a Catalogue) -> Result<Vec<Item<'a>>, SpecError> {
        let mut items: Vec<Item<'a>> = Vec::new();
        for repetition in 1..=self.repeat {
            if self.mutants.is_empty() {
                self.add_specs(catalogue, repetition, &mut items)?;
            } else {
                self.add_mutants(catalogue, repetition, &mut items)?;
            }
        }
        Ok(items)
    }

    fn add_specs<'a>(
        &self,
        catalogue: &'a Catalogue,
        repetition: u32,
        items: &mut Vec<Item<'a>>,
    ) -> Result<(), SpecError> {
        let sides: &[Side] = match self.against {
            true => &[Side::Target, Side::Against],
            false => &[Side::Target],
        };
        for run in select(catalogue, self.specs, self.pairs)? {
            for side in sides {
                let [target, against] = self.pinned;
                let pinned = match side {
                    Side::Target => target,
                    Side::Against => against,
                };
                let own: &[String] = if pinned { &run.spec.body.repairs } else { &[] };
                let item = Item {
                    scenario: catalogue.spec(run.spec.scenario())?,
                    specs: vec![run.spec],
                    pair: run.pair,
                    repairs: select_repairs(catalogue, own, self.repairs)?,
                    mutant: None,
                    repetition,
                    side: *side,
                };
                // Specs that play the same share the run.
                match items.iter_mut().find(|known| known.is_base_of(&item)) {
                    Some(known) => known.specs.push(run.spec),
                    None => items.push(item),
                }
            }
        }
        Ok(())
    }

    fn add_mutants<'a>(
        &self,
        catalogue: &'a Catalogue,
        repetition: u32,
        items: &mut Vec<Item<'a>>,
    ) -> Result<(), SpecError> {
        // A mutant says which specs must find it. A user's own may name the checkout's.
        let wanted = match self.specs {
            [] => None,
            named => Some(select(catalogue, named, self.pairs)?),
        };
        let is_wanted = |mutant: &&Mutant| {
            let wanted = wanted.as_ref();
            wanted.is_none_or(|runs| runs.iter().any(|run| run.spec.name == mutant.spec))
        };
        let mutants = select_mutants(catalogue, self.mutants, self.specs)?;
        let (mutants, left): (Vec<&Mutant>, Vec<&Mutant>) =
            mutants.into_iter().partition(is_wanted);
        if !names_all(self.mutants) {
            each_is_tried(&mutants, &left)?;
        }
        for mutant in mutants {
            let spec = catalogue.spec(&mutant.spec)?;
            let default = &spec.body.pairs[..1];
            for pair in each_once(self.pairs.unwrap_or(default)) {
                let (base, mutated) = pair_of_runs(catalogue, mutant, pair, repetition)?;
                if !items.iter().any(|known| known.is_base_of(&base)) {
                    items.push(base);
                }
                items.push(mutated);
            }
        }
        Ok(())
    }
}

/// Whoever names a mutant wants it tried on one of its specs at least: `left` are the trials on specs that the
/// call does not name.
fn each_is_tried(tried: &[&Mutant], left: &[&Mutant]) -> Result<(), SpecError> {
    let is_tried = |one: &Mutant| tried.iter().any(|mutant| mutant.name == one.name);
    let Some(idle) = left.iter().find(|mutant| !is_tried(mutant)) else {
        return Ok(());
    };
    let specs = left.iter().filter(|mutant| mutant.name == idle.name);
    let specs: Vec<&str> = specs.map(|mutant| mutant.spec.as_str()).collect();
    Err(SpecError::NotTried {
        name: idle.name.clone(),
        specs: specs.join(", "),
    })
}

/// The run without a mutant, and the one with it, both judged by every spec that can.
///
/// # Errors
/// The mutant names a spec or a repair that is not there.
pub fn pair_of_runs<'a>(
    catalogue: &'a Catalogue,
    mutant: &'a Mutant,
    pair: Pair,
    repetition: u32,
) -> Result<(Item<'a>, Item<'a>), SpecError> {
    let scenario = catalogue.spec(catalogue.spec(&mutant.spec)?.scenario())?;
    let base = Item {
        scenario,
        specs: catalogue.judging(&scenario.name).collect(),
        pair,
        repairs: select_repairs(catalogue, &scenario.body.repairs, &mutant.repairs)?,
        mutant: None,
        repetition,
        side: Side::Target,
    };
    let mutated = Item {
        mutant: Some(mutant),
        ..base.clone()
    };
    Ok((base, mutated))
}

/// The repairs that a spec is played on, and those that a call or a mutant names (`all` for all of
/// them), each once, by name.
///
/// # Errors
/// A name that no repair has.
pub fn select_repairs<'a>(
    catalogue: &'a Catalogue,
    own: &[String],
    names: &[String],
) -> Result<Vec<&'a Repair>, SpecError> {
    if names.iter().any(|name| name == "all") {
        return Ok(catalogue.repairs.values().collect());
    }
    let names: BTreeSet<&String> = own.iter().chain(names).collect();
    let repairs = names.into_iter().map(|name| catalogue.repair(name));
    repairs.collect()
}

/// The records of the run without the mutant that belongs to the run at `index`; `runs` are those
/// of the items, as far as they were carried out.
#[must_use]
pub fn base_of<'a>(
    items: &[Item<'_>],
    runs: &'a [Option<Vec<RunRecord>>],
    index: usize,
) -> Option<&'a Vec<RunRecord>> {
    let wanted = &items[index];
    let base = items.iter().position(|item| item.is_base_of(wanted))?;
    runs.get(base)?.as_ref()
}

/// The records of the target's runs with which those of the run at `index`, on the second target, are compared. One
/// of the two may be played on repairs that the other is not.
#[must_use]
pub fn measures_of<'a>(
    items: &[Item<'_>],
    runs: &'a [Option<Vec<RunRecord>>],
    index: usize,
) -> Vec<&'a RunRecord> {
    let wanted = &items[index];
    let is_measure = |item: &Item<'_>| {
        item.side == Side::Target
            && item.mutant.is_none()
            && item.scenario.name == wanted.scenario.name
            && item.pair == wanted.pair
            && item.repetition == wanted.repetition
    };
    let measures = items.iter().zip(runs).filter(|(item, _)| is_measure(item));
    measures
        .filter_map(|(_, run)| run.as_ref())
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::find_root;

    #[test]
    fn a_run_on_a_second_target_is_compared_with_those_of_its_specs_on_the_first() {
        let mut catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
        // On the first target alone, a spec that judges another one's run has a run of its own.
        let repair = catalogue.repairs.keys().next().expect("a repair").clone();
        let mut specs = catalogue.specs.values_mut();
        let judge = specs.find(|spec| spec.body.plays.is_some() && spec.body.repairs.is_empty());
        judge.expect("a spec that plays another one").body.repairs = vec![repair];
        let selection = Selection {
            specs: &[],
            pairs: None,
            repairs: &[],
            mutants: &[],
            repeat: 2,
            against: true,
            pinned: [true, false],
        };
        let items = selection.items(&catalogue).expect("runs");
        let records = |item: &Item<'_>| {
            let specs = item.specs.iter();
            let records = specs.map(|spec| RunRecord {
                pair: item.pair.to_string(),
                repetition: item.repetition,
                ..RunRecord::unjudged(spec.name.clone(), None, PathBuf::new())
            });
            records.collect::<Vec<_>>()
        };
        let runs: Vec<_> = items.iter().map(|item| Some(records(item))).collect();
        let seconds = items.iter().enumerate();
        let seconds = seconds.filter(|(_, item)| item.side == Side::Against);
        for (index, item) in seconds {
            let measures = measures_of(&items, &runs, index);
            for second in records(item) {
                let is_it = |first: &&&RunRecord| {
                    (&first.spec, &first.pair, first.repetition)
                        == (&second.spec, &second.pair, second.repetition)
                };
                let found = measures.iter().filter(is_it).count();
                assert_eq!(found, 1, "{} {}", second.spec, second.pair);
            }
        }
    }
}
