//! What the checkout says must hold, without a browser: every repair and every mutant fits the
//! pinned release.

use std::path::PathBuf;

use gymcheck::run::{Invocation, Wanted, find_root, pair_of_runs};
use gymcheck::spec::{Catalogue, Repair};
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
