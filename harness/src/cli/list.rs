//! What the checkout holds: specs, requirements, checks, mutants.

use gymcheck::report::ExitStatus;
use gymcheck::run::{equivalents, find_root};
use gymcheck::spec::{Catalogue, Pair, SpecError};
use gymcheck::verdict::{EXPLANATIONS, Explanation, explain};

use super::Outcome;

pub(super) fn list() -> Outcome {
    let catalogue = Catalogue::read(&find_root())?;
    for spec in catalogue.specs.values() {
        anstream::println!("{}\n    {}", spec.name, spec.body.title);
        for check in &spec.body.checks {
            anstream::println!("    {:<10} {}", check.requirement, check.name());
        }
        let pairs: Vec<String> = spec.body.pairs.iter().map(Pair::to_string).collect();
        anstream::println!("    runs on {}", pairs.join(", "));
    }
    for mutant in catalogue.mutants.iter() {
        anstream::println!(
            "mutant {}\n    {}\n    {:<10} {} of {}",
            mutant.name,
            mutant.breaks,
            mutant.requirement,
            mutant.check,
            mutant.spec
        );
    }
    for mutant in equivalents(&catalogue) {
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

pub(super) fn list_requirements() -> Outcome {
    let catalogue = Catalogue::read(&find_root())?;
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

pub(super) fn explain_checks(check: Option<&str>) -> Outcome {
    let catalogue = Catalogue::read(&find_root())?;
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
