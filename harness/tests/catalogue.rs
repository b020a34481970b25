//! What the checkout says must hold, without a browser: every repair and every mutant fits the
//! pinned release.

use std::path::PathBuf;

use gymcheck::run::{Invocation, Selection, Wanted, find_root, pair_of_runs};
use gymcheck::spec::{Catalogue, Pair, Repair};
use gymcheck::target::{PINNED_RELEASE, TargetName};

fn catalogue() -> Catalogue {
    Catalogue::read(&find_root()).expect("specs, mutants and repairs can be read")
}

fn release(catalogue: &Catalogue) -> Invocation {
    let wanted = Wanted {
        catalogue,
        target: TargetName::Release(PINNED_RELEASE),
        experiment: None,
        without: Vec::new(),
        cdn: None,
        browsers: Vec::new(),
        grid: None,
        out: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("catalogue"),
        runs: "runs".into(),
        retries: 0,
        headed: false,
        keep: false,
    };
    Invocation::prepare(wanted).expect("run: gymcheck setup --yes")
}

#[test]
fn all_repairs_together_fit_the_release() {
    let catalogue = catalogue();
    let repairs: Vec<&Repair> = catalogue.repairs.values().collect();
    release(&catalogue)
        .check_edits(&repairs, None)
        .expect("all repairs can be applied at once");
}

#[test]
fn every_mutant_fits_the_release_on_its_repairs() {
    let catalogue = catalogue();
    let release = release(&catalogue);
    // One that is proven equivalent is not tried, but what the proof speaks of must be there.
    let mutants = catalogue.mutants.iter();
    for mutant in mutants.chain(catalogue.equivalents.iter()) {
        let pair = catalogue.specs[&mutant.spec].body.pairs[0];
        let (_, item) = pair_of_runs(&catalogue, mutant, pair, 1).expect("a known spec");
        let fits = release.check_edits(&item.repairs, item.mutant);
        if let Err(error) = fits {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            panic!("{}: {error}: {}", mutant.name, cause.unwrap_or_default());
        }
    }
}

#[test]
fn every_requirement_has_a_check_and_a_mutant() {
    let catalogue = catalogue();
    let coverage = catalogue.coverage();
    assert_eq!(coverage.len(), 16);
    for covered in coverage {
        let lacks = covered.lacks();
        assert!(
            lacks.is_empty(),
            "{} has no {}",
            covered.id,
            lacks.join(", no ")
        );
    }
}

/// The runs of a call, each in one line, with how many specs judge it.
fn runs(specs: &[&str], pairs: &[&str], mutants: &[&str]) -> Result<Vec<String>, String> {
    let catalogue = catalogue();
    let owned = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    let pairs: Vec<Pair> = pairs
        .iter()
        .map(|pair| pair.parse().expect("a pair"))
        .collect();
    let selection = Selection {
        specs: &owned(specs),
        pairs: (!pairs.is_empty()).then_some(&pairs[..]),
        repairs: &[],
        mutants: &owned(mutants),
        repeat: 1,
        against: false,
        pinned: [true, false],
    };
    let items = selection.items(&catalogue);
    let items = items.map_err(|error| error.to_string())?;
    let said = items
        .iter()
        .map(|item| format!("{}: {}", item.title(), item.specs.len()));
    Ok(said.collect())
}

#[test]
fn a_mutant_that_is_named_is_tried_or_the_call_is_a_mistake() {
    let own = "worker-left-alive";
    let other = "old-manager-reused";
    let spec = |name: &str| catalogue().mutant(name).expect("a mutant")[0].spec.clone();
    let (of_own, of_other) = (spec(own), spec(other));
    assert_ne!(of_own, of_other, "the test needs two specs");
    let tried = runs(&[&of_own, &of_other], &[], &[own, other]).expect("both are tried");
    assert_eq!(tried.len(), 4, "{tried:?}");
    let error = runs(&[&of_own], &[], &[own, other]).expect_err("one would not be tried");
    assert_eq!(
        error,
        format!(
            "the mutant `{other}` would not be tried: it belongs to {of_other}, and this call names other specs; \
             name one that it belongs to as well, or leave it out"
        )
    );
    // It is enough that one of its specs is named.
    let elsewhere = catalogue().mutant("second-close-throws").expect("a mutant")[1]
        .spec
        .clone();
    let tried = runs(&[&elsewhere], &[], &["second-close-throws"]).expect("it is tried there");
    assert_eq!(tried.len(), 2, "{tried:?}");
    // Of all mutants those of the named specs are meant.
    let tried = runs(&[&of_own], &[], &["all"]).expect("some are tried");
    assert!(tried.len() > 1, "{tried:?}");
}

#[test]
fn what_a_call_names_twice_is_carried_out_once() {
    let spec = "scene-exit/partner-dies-on-survey";
    let (one, other) = ("chrome+chrome", "chrome+firefox");
    let twice = runs(&[spec], &[one, other, one], &[]).expect("runs");
    assert_eq!(
        twice,
        [format!("{spec} {one}: 1"), format!("{spec} {other}: 1")]
    );
    let mutant = "worker-left-alive";
    let once = runs(&[], &[], &[mutant]).expect("runs");
    assert_eq!(runs(&[], &[], &[mutant, mutant]), Ok(once.clone()));
    assert_eq!(runs(&[], &[one, one], &[mutant]), Ok(once));
}
