//! What there is: specs, requirements, checks, mutants.

use gymcheck::report::ExitStatus;
use gymcheck::run::equivalents;
use gymcheck::spec::{Catalogue, Pair, Spec, SpecError};
use gymcheck::verdict::{EXPLANATIONS, Explanation, explain};

use super::{Outcome, OwnSpecs};

pub(super) fn list(own: &OwnSpecs) -> Outcome {
    let catalogue = own.catalogue()?;
    for spec in catalogue
        .specs
        .values()
        .filter(|spec| is_meant(&catalogue, spec))
    {
        print_spec(spec);
    }
    let of_own = |name: &str| {
        let own = catalogue.own.as_ref();
        own.is_none_or(|own| own.mutants.contains(name))
    };
    for mutant in catalogue
        .mutants
        .iter()
        .filter(|mutant| of_own(&mutant.name))
    {
        anstream::println!(
            "mutant {}\n    {}\n    {:<10} {} of {}",
            mutant.name,
            mutant.breaks,
            mutant.requirement,
            mutant.check,
            mutant.spec
        );
    }
    for mutant in equivalents(&catalogue)
        .iter()
        .filter(|mutant| of_own(&mutant.mutant))
    {
        anstream::println!(
            "equivalent mutant {}\n    {}\n    {:<10} {}",
            mutant.mutant,
            mutant.breaks,
            mutant.requirement,
            mutant.proof
        );
    }
    Ok(ExitStatus::AsExpected)
}

/// Whether a call means this spec that names none.
fn is_meant(catalogue: &Catalogue, spec: &Spec) -> bool {
    let own = catalogue.own.as_ref();
    own.is_none_or(|own| own.specs.contains(&spec.name))
}

fn print_spec(spec: &Spec) {
    anstream::println!("{}\n    {}", spec.name, spec.body.title);
    for check in &spec.body.checks {
        anstream::println!("    {:<10} {}", check.requirement, check.name());
    }
    let pairs: Vec<String> = spec.body.pairs.iter().map(Pair::to_string).collect();
    anstream::println!("    runs on {}", pairs.join(", "));
}

pub(super) fn list_requirements(own: &OwnSpecs) -> Outcome {
    let catalogue = own.catalogue()?;
    for covered in catalogue.coverage() {
        anstream::println!("{}\n    {}", covered.id, covered.requirement.holds);
        for (spec, check) in &covered.checks {
            anstream::println!("    check   {check} of {spec}");
        }
        for mutant in &covered.mutants {
            anstream::println!("    mutant  {mutant}");
        }
        for mutant in &covered.equivalents {
            anstream::println!("    mutant  {mutant} (proven equivalent, not counted)");
        }
        for lack in covered.lacks() {
            anstream::println!("    no {lack} yet");
        }
    }
    Ok(ExitStatus::AsExpected)
}

pub(super) fn explain_checks(check: Option<&str>, own: &OwnSpecs) -> Outcome {
    let catalogue = own.catalogue()?;
    let wanted: Vec<&Explanation> = match check {
        None => EXPLANATIONS.iter().collect(),
        Some(name) => {
            let known = EXPLANATIONS.iter().map(|explanation| explanation.check);
            vec![explain(name).ok_or_else(|| SpecError::unknown("check", name, known))?]
        }
    };
    for explanation in wanted {
        anstream::println!(
            "{}\n  asks     {}\n  why      {}",
            explanation.check,
            explanation.question,
            explanation.why
        );
        for stimulus in explanation.stimuli {
            anstream::println!("  needs    {stimulus}");
        }
        for oracle in explanation.oracles {
            anstream::println!("  oracle   {oracle}");
        }
        anstream::println!("  vacuous  {}", explanation.vacuous);
        for (spec, mutant) in catalogue.killed_by(explanation.check) {
            anstream::println!("  kills    {mutant} in {spec}");
        }
    }
    Ok(ExitStatus::AsExpected)
}
