//! Carrying out one run: from its plan to its evidence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::equipment::Equipment;
use super::machine::Machine;
use super::scenario::Scenario;
use super::slots::Turn;
use crate::evidence::{
    AddressFact, BrokenFact, EVIDENCE, Fact, Log, PageFact, Recorder, RunFacts, StepFact, StepPhase,
};
use crate::gateway::Mirror;
use crate::player::PlayerError;
use crate::provision;
use crate::spec::{BrowserKind, Mutant, Pair, PlayerName, Repair, Spec};
use crate::stage::{AddressWatch, Stage, StageOptions, deadline, interrupted};
use crate::target::{Edit, Snapshot, Target, settings_of};

/// What one run is to do, and with what.
pub struct RunPlan<'a> {
    /// The scenario and its checks.
    pub spec: &'a Spec,
    /// The players' browsers.
    pub pair: Pair,
    /// The repairs to apply, in this order.
    pub repairs: &'a [&'a Repair],
    /// The mutant to apply, if any, on top of them.
    pub mutant: Option<&'a Mutant>,
    /// The server under test.
    pub target: &'a Target,
    /// Its code as the call found it, where that can change meanwhile.
    pub prepared: Option<&'a Snapshot>,
    /// The browsers, and where they are.
    pub equipment: &'a Equipment,
    /// The third-party assets of the page.
    pub mirror: Mirror,
    /// Profiles with caches of each browser, which have these assets compiled.
    pub compiled: &'a BTreeMap<BrowserKind, PathBuf>,
    /// Where evidence, logs and screenshots go.
    pub artefacts: &'a Path,
    /// Whether the browsers show their windows.
    pub headed: bool,
    /// Whether the stage's folder stays.
    pub keep: bool,
    /// Its place among the runs that the machine carries out at once.
    pub turn: Turn,
}

/// Carries out a run, and tells each step to `on_step` as it begins. Whatever goes wrong is in
/// the evidence.
///
/// # Errors
/// The evidence cannot even be begun.
pub async fn carry_out(plan: &RunPlan<'_>, on_step: impl Fn(&str)) -> std::io::Result<Log> {
    std::fs::create_dir_all(plan.artefacts)?;
    let recorder = Recorder::to_file(&plan.artefacts.join(EVIDENCE))?;
    recorder.record(Fact::Run(run_facts(plan)));
    let machine = Machine::under(plan.artefacts);
    tokio::select! {
        biased;
        failed = machine.fails() => break_run(&recorder, failed),
        _ = recorder.guard(set_and_play(plan, &machine, &recorder, &on_step)) => {}
        signal = interrupted() => {
            break_run(&recorder, BrokenFact {
                component: "harness".to_owned(),
                reason: format!("the run was interrupted (signal {})", signal.signal),
                last_lines: Vec::new(),
                worth_a_retry: false,
            });
        }
    }
    recorder.record(Fact::Finished {});
    Ok(recorder.log())
}

async fn set_and_play(
    plan: &RunPlan<'_>,
    machine: &Machine,
    recorder: &Recorder,
    on_step: &impl Fn(&str),
) {
    if let Some((index, step, why)) = plan.equipment.cannot(plan.spec) {
        recorder.record(Fact::Step(StepFact {
            index,
            step: step.to_string(),
            phase: StepPhase::Missed,
            detail: Some(why),
            not_offered: true,
            last_words: Vec::new(),
        }));
        return;
    }
    // Where players are hosts of their own, each of them has one.
    let apart = plan.spec.body.cuts_a_network();
    if plan.equipment.grid().is_none() && !apart && !provision::default_route() {
        break_run(
            recorder,
            BrokenFact {
                component: "environment".to_owned(),
                reason: "no network interface has a default route: browsers offer no \
                         peer-to-peer candidates without one, and no game can connect; `gymcheck \
                         doctor` says how to mend it"
                    .to_owned(),
                last_lines: Vec::new(),
                worth_a_retry: false,
            },
        );
        return;
    }
    if let Some(broken) = changed_code(plan.target.name(), plan.prepared) {
        return break_run(recorder, broken);
    }
    // Browsers of a grid are elsewhere, and players who are hosts of their own have a network that nothing else
    // changes. Without the kernel's word a run goes on: it only explains what failed.
    let _watch = match plan.equipment.grid().is_none() && !apart {
        true => AddressWatch::begin(recorder).ok(),
        false => None,
    };
    on_step("starting server and browsers");
    let stage = Stage::set(
        StageOptions {
            target: plan.target,
            experiment: &plan.spec.body.experiment,
            browsers: plan.equipment.of(plan.pair),
            mirror: plan.mirror.clone(),
            compiled: plan.compiled,
            edits: edits_of(plan.repairs, plan.mutant),
            apart,
            artefacts: plan.artefacts,
            headed: plan.headed,
            keep: plan.keep,
        },
        recorder,
    )
    .await;
    let stage = match stage {
        Ok(stage) => stage,
        // What could not be started on a full disk says little by itself.
        Err(error) => {
            let broken = machine.is_full().unwrap_or_else(|| error.as_broken());
            return break_run(recorder, broken);
        }
    };
    let mut scenario = Scenario::new(
        stage,
        plan.spec,
        recorder,
        plan.artefacts,
        plan.turn.clone(),
    );
    play(&mut scenario, plan.spec, recorder, on_step).await;
    if let Some(full) = machine.is_full() {
        break_run(recorder, full);
    }
    scenario.pictures(&PlayerName::BOTH, "the end").await;
    scenario.look_at_data_again();
    let log = recorder.log();
    if let Some(broken) = missing_candidates(&log).or_else(|| shaken_network(&log)) {
        break_run(recorder, broken);
    }
    on_step("ending server and browsers");
    scenario.into_stage().strike().await;
    missing_edits(plan, recorder);
    if let Some(broken) = changed_code(plan.target.name(), plan.prepared) {
        break_run(recorder, broken);
    }
}

/// Plays the steps in order, until one cannot be done.
async fn play(scenario: &mut Scenario, spec: &Spec, recorder: &Recorder, on_step: &impl Fn(&str)) {
    for (index, step) in spec.body.steps.iter().enumerate() {
        let fact = |phase, detail| StepFact {
            index,
            step: step.to_string(),
            phase,
            detail,
            not_offered: false,
            last_words: Vec::new(),
        };
        let note = |fact: StepFact| {
            recorder.record(Fact::Step(fact));
        };
        on_step(&step.to_string());
        note(fact(StepPhase::Begun, None));
        match scenario.step(step).await {
            Ok(()) => note(fact(StepPhase::Done, None)),
            Err(PlayerError::Missed(what)) => {
                if let Some(broken) = scenario.silent().await {
                    return break_run_in_the_end(recorder, broken).await;
                }
                return note(StepFact {
                    last_words: scenario.last_words(),
                    ..fact(StepPhase::Missed, Some(what))
                });
            }
            Err(PlayerError::NotOffered(what)) => {
                return note(StepFact {
                    not_offered: true,
                    ..fact(StepPhase::Missed, Some(what))
                });
            }
            Err(PlayerError::Broken(broken)) => {
                return break_run_in_the_end(recorder, broken).await;
            }
        }
    }
    // What hangs by now may have hung while it should have been seen doing something.
    if let Some(broken) = scenario.silent().await {
        break_run_in_the_end(recorder, broken).await;
    }
}

/// Says that the run is broken, unless something says a better reason in the next moment: a process that
/// ended by itself. Whoever talked to it notices first; its watcher still reads its last words.
async fn break_run_in_the_end(recorder: &Recorder, broken: BrokenFact) {
    let told = recorder.pass(deadline::LAST_WORDS, "the end of a process");
    let _ = told.await;
    break_run(recorder, broken);
}

/// Says that the run is broken, unless that is known already.
fn break_run(recorder: &Recorder, broken: BrokenFact) {
    if recorder.broken().is_none() {
        recorder.record(Fact::Broken(broken));
    }
}

/// A game that never came to be because a browser found no way to connect says nothing about the
/// target.
fn missing_candidates(log: &Log) -> Option<BrokenFact> {
    log.missed()?;
    let has_none = |player: &PlayerName| {
        let candidates: Vec<bool> = log
            .of(player.as_str())
            .filter_map(|event| match &event.fact {
                Fact::Page(page) => match &page.what {
                    PageFact::IceCandidate { candidate, .. } => Some(candidate.is_some()),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        !candidates.is_empty() && !candidates.contains(&true)
    };
    let player = PlayerName::BOTH.into_iter().find(has_none)?;
    Some(BrokenFact {
        component: "environment".to_owned(),
        reason: format!(
            "the {player}'s browser found no peer-to-peer candidate, so no game can connect; `gymcheck doctor` \
             says what the network lacks"
        ),
        last_lines: Vec::new(),
        worth_a_retry: false,
    })
}

/// A step that was waited for in vain while an address of the machine came or went says nothing about the target:
/// what its page asked for in that moment may never have got there.
fn shaken_network(log: &Log) -> Option<BrokenFact> {
    let (missed, step) = log.missed()?;
    let begun = log.events().iter().rfind(|event| {
        matches!(&event.fact, Fact::Step(begun)
            if begun.phase == StepPhase::Begun && begun.index == step.index)
    })?;
    let during = log
        .events()
        .iter()
        .filter(|event| (begun.seq..missed.seq).contains(&event.seq));
    let changes: Vec<&AddressFact> = during
        .filter_map(|event| match &event.fact {
            Fact::AddressChanged(change) => Some(change),
            _ => None,
        })
        .collect();
    let first = changes.first()?;
    Some(BrokenFact {
        component: "environment".to_owned(),
        reason: format!(
            "this machine's network changed ({first}{}) in the step `{}`, which was not done: {}. Chromium \
             gives up requests that wait for a connection when that happens (ERR_NETWORK_CHANGED); run it again when nothing changes \
             the network, as containers do that start and stop",
            match changes.len() {
                1 => String::new(),
                more => format!(", and {} changes more", more - 1),
            },
            step.step,
            step.detail.as_deref().unwrap_or("it was missed"),
        ),
        last_lines: Vec::new(),
        worth_a_retry: true,
    })
}

/// Code that changed since the call has begun is not what reports name: runs would be of a mixture.
fn changed_code(target: &str, prepared: Option<&Snapshot>) -> Option<BrokenFact> {
    let changed = prepared?.changed()?;
    Some(BrokenFact {
        component: "environment".to_owned(),
        reason: format!(
            "{} has changed since this call began: what is tested is no longer {target} as it was then; call it \
             again, and leave the checkout alone for as long, or test a copy of it",
            changed.display()
        ),
        last_lines: Vec::new(),
        worth_a_retry: false,
    })
}

/// An edit of a file that no page asked for has changed nothing: that is no run of its mutant or
/// repair.
fn missing_edits(plan: &RunPlan<'_>, recorder: &Recorder) {
    let log = recorder.log();
    let edits = edits_of(plan.repairs, plan.mutant);
    // Those of the server's own code were made before it started.
    for edit in edits.iter().filter(|edit| !edit.is_of_the_server()) {
        let served = |player: PlayerName| {
            log.of(player.as_str()).any(|event| {
                matches!(&event.fact, Fact::Http(http)
                    if http.path.contains(&edit.file) && http.edits.contains(&edit.name))
            })
        };
        if !PlayerName::BOTH.into_iter().all(served) {
            break_run(
                recorder,
                BrokenFact {
                    component: "mutant".to_owned(),
                    reason: format!(
                        "not both pages were served {} with the edits of `{}`",
                        edit.file, edit.name
                    ),
                    last_lines: Vec::new(),
                    worth_a_retry: false,
                },
            );
        }
    }
}

/// The edits of repairs, and of a mutant on top of them, as they are applied.
#[must_use]
pub fn edits_of(repairs: &[&Repair], mutant: Option<&Mutant>) -> Vec<Edit> {
    let named = |name: &str, edits: &[crate::spec::Edit]| -> Vec<Edit> {
        edits
            .iter()
            .map(|edit| Edit {
                name: name.to_owned(),
                file: edit.file.clone(),
                find: edit.find.clone(),
                replace: edit.replace.clone(),
            })
            .collect()
    };
    let repairs = repairs
        .iter()
        .flat_map(|repair| named(&repair.name, &repair.edits));
    let mutant = mutant
        .into_iter()
        .flat_map(|mutant| named(&mutant.name, &mutant.edits));
    repairs.chain(mutant).collect()
}

fn run_facts(plan: &RunPlan<'_>) -> RunFacts {
    RunFacts {
        spec: plan.spec.name.clone(),
        pair: plan.pair.to_string(),
        target: plan.target.name().to_owned(),
        target_facts: Some(plan.target.facts.clone()),
        mutant: plan.mutant.map(|mutant| mutant.name.clone()),
        repairs: plan
            .repairs
            .iter()
            .map(|repair| repair.name.clone())
            .collect(),
        experiment: settings_of(&plan.spec.body.experiment),
        served: plan.target.served(),
        lacks: plan
            .target
            .lacks()
            .into_iter()
            .chain(plan.equipment.lacks())
            .collect(),
        gymcheck: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default(),
        grid: plan.equipment.grid().map(|grid| grid.endpoint.to_string()),
        browsers: PlayerName::BOTH
            .into_iter()
            .filter_map(|player| {
                let told = plan.equipment.told(plan.pair.of(player))?;
                Some((player.to_string(), told))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::AddressChange;
    use crate::target::{Code, Package};

    #[test]
    fn code_that_changed_breaks_a_run_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let code = Code {
            package: Package::Mug,
            folder: folder.path().to_owned(),
        };
        let prepared = code.snapshot();
        assert_eq!(changed_code("mug@1", Some(&prepared)), None);
        std::fs::write(folder.path().join("new.py"), "").unwrap();
        let broken = changed_code("mug@1", Some(&prepared)).unwrap();
        assert!(broken.reason.contains("/new.py has changed"));
        assert!(!broken.worth_a_retry);
        assert_eq!(changed_code("mug@1", None), None);
    }

    fn step(phase: StepPhase) -> Fact {
        Fact::Step(StepFact {
            index: 0,
            step: "survivor and partner join".to_owned(),
            phase,
            detail: (phase == StepPhase::Missed).then(|| "waited 240 s for the game".to_owned()),
            not_offered: false,
            last_words: Vec::new(),
        })
    }

    fn change() -> Fact {
        Fact::AddressChanged(AddressFact {
            link: "eth0".to_owned(),
            address: "fe80::1".to_owned(),
            change: AddressChange::Came,
        })
    }

    fn told(facts: impl IntoIterator<Item = Fact>) -> Option<String> {
        let recorder = Recorder::in_memory();
        for fact in facts {
            recorder.record(fact);
        }
        shaken_network(&recorder.log()).map(|broken| broken.reason)
    }

    #[test]
    fn a_step_that_was_missed_while_the_network_changed_breaks_the_run() {
        let said = told([
            step(StepPhase::Begun),
            change(),
            change(),
            step(StepPhase::Missed),
        ]);
        let said = said.expect("broken");
        assert!(
            said.contains("fe80::1 came at eth0, and 1 changes more"),
            "{said}"
        );
        assert!(said.contains("waited 240 s for the game"), "{said}");
    }

    #[test]
    fn a_network_that_changes_at_another_time_excuses_nothing() {
        assert_eq!(
            told([
                change(),
                step(StepPhase::Begun),
                step(StepPhase::Missed),
                change()
            ]),
            None
        );
        assert_eq!(
            told([step(StepPhase::Begun), change(), step(StepPhase::Done)]),
            None
        );
    }
}
