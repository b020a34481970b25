//! The runs that one call asks for.

use super::{RunRecord, select_mutants};
use crate::spec::{Catalogue, Mutant, Pair, Spec, SpecError, select};

/// Which of a call's targets a run is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The target.
    Target,
    /// The one that it is compared with.
    Against,
}

/// One run of a call: what, on which target, with which browsers, without or with a mutant, which
/// time.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The browsers.
    pub pair: Pair,
    /// The mutant, if one is to be applied.
    pub mutant: Option<&'a Mutant>,
    /// Which time, from 1.
    pub repetition: u32,
    /// On which target.
    pub side: Side,
}

impl Item<'_> {
    /// Whether they differ in nothing but the mutant and the target.
    fn is_like(&self, other: &Item<'_>) -> bool {
        self.spec.name == other.spec.name
            && self.pair == other.pair
            && self.repetition == other.repetition
    }
}

/// What a call selects.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Specs and folders of specs; all if there are none.
    pub specs: &'a [String],
    /// The pairs, instead of each spec's own.
    pub pairs: Option<&'a [Pair]>,
    /// Mutants by name, `all` for all of them; none for plain runs.
    pub mutants: &'a [String],
    /// How often each run is carried out.
    pub repeat: u32,
    /// Whether a second target is run as well.
    pub against: bool,
}

impl Selection<'_> {
    /// The runs, in their order. With mutants: each mutant's spec without it, and with it.
    ///
    /// # Errors
    /// A name that no spec or no mutant has.
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
        for run in select(catalogue, self.specs, self.pairs)? {
            let sides: &[Side] = match self.against {
                true => &[Side::Target, Side::Against],
                false => &[Side::Target],
            };
            items.extend(sides.iter().map(|side| Item {
                spec: run.spec,
                pair: run.pair,
                mutant: None,
                repetition,
                side: *side,
            }));
        }
        Ok(())
    }

    fn add_mutants<'a>(
        &self,
        catalogue: &'a Catalogue,
        repetition: u32,
        items: &mut Vec<Item<'a>>,
    ) -> Result<(), SpecError> {
        let wanted = select(catalogue, self.specs, self.pairs)?;
        for mutant in select_mutants(catalogue, self.mutants)? {
            let spec = catalogue.spec(&mutant.spec)?;
            if !wanted.iter().any(|run| run.spec.name == spec.name) {
                continue;
            }
            let default = &spec.body.pairs[..1];
            for pair in self.pairs.unwrap_or(default) {
                let base = Item {
                    spec,
                    pair: *pair,
                    mutant: None,
                    repetition,
                    side: Side::Target,
                };
                let known = |item: &Item<'_>| item.mutant.is_none() && item.is_like(&base);
                if !items.iter().any(known) {
                    items.push(base);
                }
                items.push(Item {
                    mutant: Some(mutant),
                    ..base
                });
            }
        }
        Ok(())
    }
}

/// The run without a mutant that belongs to the run at `index`; `runs` are those so far.
#[must_use]
pub fn base_of<'a>(
    items: &[Item<'_>],
    runs: &'a [RunRecord],
    index: usize,
) -> Option<&'a RunRecord> {
    let wanted = &items[index];
    let base = items
        .iter()
        .position(|item| item.mutant.is_none() && item.is_like(wanted))?;
    runs.get(base)
}
