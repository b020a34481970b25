//! The runs that specs expand to.

use super::catalogue::Catalogue;
use super::error::SpecError;
use super::model::{Pair, Spec};

/// One run that is to be carried out.
#[derive(Debug, Clone)]
pub struct PlannedRun<'a> {
    /// What.
    pub spec: &'a Spec,
    /// With which browsers.
    pub pair: Pair,
}

/// The runs of the named specs (if none is named: those of the user's own folder, or all) on these pairs (each spec's own, if `None`).
///
/// A name may also be a folder of specs, as `scene-exit`.
///
/// # Errors
/// A name that no spec has.
pub fn select<'a>(
    catalogue: &'a Catalogue,
    names: &[String],
    pairs: Option<&[Pair]>,
) -> Result<Vec<PlannedRun<'a>>, SpecError> {
    let mut specs: Vec<&Spec> = Vec::new();
    if names.is_empty() {
        specs.extend(catalogue.default_specs()?);
    }
    for name in names {
        let folder = format!("{}/", name.trim_end_matches('/'));
        let of_folder: Vec<&Spec> = catalogue
            .specs
            .values()
            .filter(|spec| spec.name.starts_with(&folder))
            .collect();
        let found = if of_folder.is_empty() {
            vec![catalogue.spec(name)?]
        } else {
            of_folder
        };
        for spec in found {
            if !specs.iter().any(|known| known.name == spec.name) {
                specs.push(spec);
            }
        }
    }
    Ok(specs
        .into_iter()
        .flat_map(|spec| {
            let pairs = each_once(pairs.unwrap_or(&spec.body.pairs));
            pairs.into_iter().map(move |pair| PlannedRun { spec, pair })
        })
        .collect())
}

/// What a call names, each once, in its order: what is named twice is carried out once.
#[must_use]
pub fn each_once<T: Clone + PartialEq>(named: &[T]) -> Vec<T> {
    let mut once: Vec<T> = Vec::new();
    for one in named {
        if !once.contains(one) {
            once.push(one.clone());
        }
    }
    once
}
