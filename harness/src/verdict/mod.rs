//! What the evidence says: checks, oracles, verdicts.
//!
//! A verdict is a pure function of a spec and a log. Nothing here touches a network, a clock or a
//! process. Verdicts are matched without wildcards, so that a new one cannot slip through as a
//! pass.

mod away;
mod connections_closed;
mod counts_steady;
mod data_whole;
mod departure;
mod equipment;
mod equipment_stopped;
mod excuses;
mod expectations;
mod explain;
mod facts;
mod form_answered;
mod fresh_connection;
mod games;
mod no_errors;
mod no_overlay;
mod nobody_told;
mod not_asked;
mod nothing_left;
mod overlay_shown;
mod pace;
mod played;
mod played_peer_to_peer;
mod rules;
mod same_equipment;
mod scene_order;
mod server_forgets;
mod sound_after_departure;
mod steadiness;
mod told_or_carried_on;

use std::borrow::Cow;
use std::fmt;

pub use counts_steady::Counts;
pub use expectations::expect;
pub use explain::{EXPLANATIONS, Explanation, explain};
pub use nothing_left::nothing_could_act;
pub(crate) use steadiness::percent;
pub use steadiness::{Steadiness, Tally, upper_bound};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{BrokenFact, Damage, Fact, Log, PageFact};
use crate::spec::{CheckSpec, Question, Spec, Step};

/// What is decided about a check or a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds, and it was seen that it could have failed.
    Pass,
    /// The target is wrong.
    Fail,
    /// The stimulus never came: nothing was proven.
    Vacuous,
    /// The run could not be carried out: harness, browser or environment.
    Broken,
    /// This target or experiment cannot be asked.
    NotApplicable,
    /// Repeated runs differ.
    Unstable,
}

impl Verdict {
    /// Only `pass` is a pass.
    #[must_use]
    pub fn is_pass(self) -> bool {
        match self {
            Verdict::Pass => true,
            Verdict::Fail
            | Verdict::Vacuous
            | Verdict::Broken
            | Verdict::NotApplicable
            | Verdict::Unstable => false,
        }
    }

    /// How much a verdict weighs when several make one: the heaviest decides.
    fn weight(self) -> u8 {
        match self {
            Verdict::NotApplicable => 0,
            Verdict::Pass => 1,
            Verdict::Vacuous => 2,
            Verdict::Unstable => 3,
            Verdict::Fail => 4,
            Verdict::Broken => 5,
        }
    }

    /// The verdict of a whole, from those of its parts. A whole without parts proves nothing.
    #[must_use]
    pub fn of_all(parts: impl IntoIterator<Item = Verdict>) -> Verdict {
        parts
            .into_iter()
            .max_by_key(|verdict| verdict.weight())
            .unwrap_or(Verdict::Vacuous)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Vacuous => "vacuous",
            Verdict::Broken => "broken",
            Verdict::NotApplicable => "not applicable",
            Verdict::Unstable => "unstable",
        })
    }
}

/// What is decided about one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict of the whole run.
    pub verdict: Verdict,
    /// Each check, in the spec's order.
    pub checks: Vec<CheckResult>,
    /// Why the run could not be carried out, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<BrokenFact>,
    /// The step that the target missed, if it missed one: what was awaited in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
}

/// What is decided about one check.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CheckResult {
    /// The check's name.
    pub check: String,
    /// The requirement that it is tied to.
    pub requirement: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict that is known for this target: `pass`, unless an expectation says otherwise.
    #[serde(default = "pass")]
    pub expected: Verdict,
    /// Why another one than `pass` is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// The verdict in one sentence.
    pub account: String,
    /// What had to be seen for the check to mean anything.
    pub stimuli: Vec<Stimulus>,
    /// What each oracle says.
    pub oracles: Vec<OracleFinding>,
    /// What was counted from scene to scene, by a check that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
}

fn pass() -> Verdict {
    Verdict::Pass
}

/// Something that had to happen for a check to mean anything.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Stimulus {
    /// What.
    pub what: String,
    /// Whether it was seen.
    pub seen: bool,
    /// The events that show it, by their `seq`; those that show that it cannot come, if it cannot.
    pub evidence: Vec<u64>,
    /// Why this target does not give it, where the evidence shows that it had every reason to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_given: Option<String>,
}

/// What one oracle says about a check.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OracleFinding {
    /// The oracle's name.
    pub oracle: String,
    /// What it says.
    pub says: Says,
    /// Why.
    pub account: String,
    /// The events that it rests on, by their `seq`.
    pub evidence: Vec<u64>,
}

/// An oracle's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// What must hold, holds.
    Holds,
    /// It does not.
    Violated,
    /// It could not be asked.
    Absent,
}

/// The spec with the experiment that was found, where that was not its own.
fn as_found<'a>(spec: &'a Spec, log: &Log) -> Cow<'a, Spec> {
    let Some(found) = log.experiment_found(&spec.body.experiment) else {
        return Cow::Borrowed(spec);
    };
    let mut spec = spec.clone();
    spec.body.experiment = found;
    Cow::Owned(spec)
}

/// Passes judgement on a run.
#[must_use]
pub fn judge(spec: &Spec, log: &Log) -> Judgement {
    let spec = &*as_found(spec, log);
    let missed = log.missed().map(|(_, step)| {
        format!(
            "step {} ({}): {}",
            step.index + 1,
            step.step,
            step.detail.as_deref().unwrap_or("not done")
        )
    });
    let broken = log.broken().map(|(_, broken)| broken.clone());
    let unfinished = !log
        .events()
        .last()
        .is_some_and(|event| matches!(event.fact, Fact::Finished {}));
    let broken = log
        .damage()
        .map(damaged)
        .or(broken)
        .or_else(|| unfinished.then(cut_off))
        .or_else(|| trouble_of_probe(log))
        .or_else(|| played::by_other_steps(spec, log));
    let asked = &spec.body.checks;
    let checks = match &broken {
        Some(broken) => undecided(asked, broken),
        None => asked
            .iter()
            .map(|check| decide(check, spec, log, missed.as_deref()))
            .collect(),
    };
    let verdict = if broken.is_some() {
        Verdict::Broken
    } else {
        let verdict = Verdict::of_all(checks.iter().map(|check| check.verdict));
        // A run that did not come to its end may have missed what would have failed.
        match verdict {
            Verdict::Pass if missed.is_some() => Verdict::Vacuous,
            Verdict::Pass
            | Verdict::Fail
            | Verdict::Vacuous
            | Verdict::Broken
            | Verdict::NotApplicable
            | Verdict::Unstable => verdict,
        }
    };
    Judgement {
        verdict,
        checks,
        broken,
        missed,
    }
}

/// A probe that was in trouble has seen nothing that can be relied on.
fn trouble_of_probe(log: &Log) -> Option<BrokenFact> {
    let said = log.events().iter().find_map(|event| match &event.fact {
        Fact::Page(page) => match &page.what {
            PageFact::Console { level, text } if level == "probe" => {
                Some((event.player.as_deref().unwrap_or_default(), text))
            }
            _ => None,
        },
        _ => None,
    });
    said.map(|(player, text)| BrokenFact {
        component: "harness".to_owned(),
        reason: format!("the probe of the {player}'s page: {text}"),
        last_lines: Vec::new(),
        worth_a_retry: true,
    })
}

fn damaged(damage: &Damage) -> BrokenFact {
    BrokenFact {
        component: "evidence".to_owned(),
        reason: format!(
            "line {} of the evidence cannot be read, nor what comes after it: {}",
            damage.line, damage.what
        ),
        last_lines: Vec::new(),
        worth_a_retry: false,
    }
}

fn cut_off() -> BrokenFact {
    BrokenFact {
        component: "harness".to_owned(),
        reason: "the evidence is cut off: its last event is not the end of a run".to_owned(),
        last_lines: Vec::new(),
        worth_a_retry: true,
    }
}

/// A broken run decides nothing.
fn undecided(checks: &[CheckSpec], broken: &BrokenFact) -> Vec<CheckResult> {
    let undecided = |check: &CheckSpec| CheckResult {
        check: check.name().to_owned(),
        requirement: check.requirement.clone(),
        verdict: Verdict::Broken,
        expected: Verdict::Pass,
        known: None,
        account: broken.reason.clone(),
        stimuli: Vec::new(),
        oracles: Vec::new(),
        counts: None,
    };
    checks.iter().map(undecided).collect()
}

/// How many oracles must agree for a pass.
const LEAST_ORACLES: usize = 2;

/// What a check found.
struct Findings {
    stimuli: Vec<Stimulus>,
    oracles: Vec<OracleFinding>,
}

fn decide(check: &CheckSpec, spec: &Spec, log: &Log, missed: Option<&str>) -> CheckResult {
    let findings = match &check.ask {
        Question::ConnectionsClosed(asked) => connections_closed::ask(asked, log),
        Question::PlayedPeerToPeer(of) => {
            let stuck = missed_step(spec, log, |step| matches!(step, Step::Play(_)));
            played_peer_to_peer::ask(spec, of.game, log, stuck)
        }
        Question::NoOverlay(between) => no_overlay::ask(spec, between, log),
        Question::OverlayShown(between) => overlay_shown::ask(spec, between, log),
        Question::FormAnswered(_) => {
            let missed = missed_step(spec, log, |step| matches!(step, Step::Answer(_)));
            form_answered::ask(log, missed)
        }
        Question::SceneOrder(_) => scene_order::ask(spec, log),
        Question::EquipmentStopped(moments) => equipment_stopped::ask(moments, log),
        Question::DataWhole(which) => data_whole::ask(spec, which.game.get(), log),
        Question::NoErrors(taken) => no_errors::ask(&taken.paths, &spec.body.experiment, log),
        Question::ToldOrCarriedOn(moments) => told_or_carried_on::ask(spec, moments, log),
        Question::SoundAfterDeparture(rest) => {
            let missed = missed_step(spec, log, |step| matches!(step, Step::Walk(_)));
            sound_after_departure::ask(spec, rest, log, missed)
        }
        Question::NothingLeft(rest) => nothing_left::ask(rest, log),
        Question::FreshConnection(which) => fresh_connection::ask(which, log),
        Question::SameEquipment(moments) => same_equipment::ask(moments, log),
        Question::NobodyTold(moment) => nobody_told::ask(&moment.after, log),
        Question::CountsSteady(moments) => counts_steady::ask(moments, log),
        Question::ServerForgets(left) => server_forgets::ask(left, log),
    };
    let concluded = conclude(&findings, missed);
    let firings = rules::firings(spec, log);
    let (verdict, account) = rules::weigh(concluded, &firings);
    let cannot_be_asked = (verdict == Verdict::Vacuous)
        .then(|| not_asked::why(check, spec, log, &findings))
        .flatten();
    let (verdict, account) = match cannot_be_asked {
        Some(why) => (Verdict::NotApplicable, why),
        None => (verdict, account),
    };
    let mut stimuli = findings.stimuli;
    stimuli.extend(firings.into_iter().map(Stimulus::from));
    CheckResult {
        check: check.name().to_owned(),
        requirement: check.requirement.clone(),
        verdict,
        expected: Verdict::Pass,
        known: None,
        account,
        stimuli,
        oracles: findings.oracles,
        counts: counts(check, log),
    }
}

fn counts(check: &CheckSpec, log: &Log) -> Option<Counts> {
    match &check.ask {
        Question::CountsSteady(moments) => Some(counts_steady::counts(moments, log)),
        _ => None,
    }
}

/// What the run missed, and where, if it missed a step of this kind.
fn missed_step<'a>(
    spec: &Spec,
    log: &'a Log,
    is_of_the_kind: impl Fn(&Step) -> bool,
) -> Option<(u64, &'a str)> {
    let (event, step) = log.missed()?;
    let missed = spec.body.steps.get(step.index)?;
    is_of_the_kind(missed).then(|| (event.seq, step.detail.as_deref().unwrap_or("not done")))
}

/// From findings to a verdict. What was seen to be wrong is wrong, whatever else was not seen; for
/// all else the stimuli come first. One that this target was seen not to give leaves nothing to ask,
/// as long as all others were there.
fn conclude(findings: &Findings, missed: Option<&str>) -> (Verdict, String) {
    let of = |says: Says| {
        findings
            .oracles
            .iter()
            .filter(move |finding| finding.says == says)
    };
    let accounts = |says: Says| {
        of(says)
            .map(|finding| format!("{}: {}", finding.oracle, finding.account))
            .collect::<Vec<_>>()
            .join("; ")
    };
    if of(Says::Violated).next().is_some() {
        return (Verdict::Fail, accounts(Says::Violated));
    }
    let unseen = || findings.stimuli.iter().filter(|stimulus| !stimulus.seen);
    let reasons: Option<Vec<&str>> = unseen().map(|one| one.not_given.as_deref()).collect();
    if let Some(reasons) = reasons.filter(|reasons| !reasons.is_empty()) {
        return (Verdict::NotApplicable, reasons.join("; "));
    }
    let unseen: Vec<&str> = unseen().map(|stimulus| stimulus.what.as_str()).collect();
    if !unseen.is_empty() {
        let mut account = format!("not seen: {}", unseen.join("; "));
        if let Some(missed) = missed {
            account = format!("{account} (the run ended early: {missed})");
        }
        return (Verdict::Vacuous, account);
    }
    let holding = of(Says::Holds).count();
    // One witness is none: what matters is proven by sources that cannot fail together.
    if holding < LEAST_ORACLES {
        return (
            Verdict::Vacuous,
            format!(
                "{holding} oracles could be asked; absent: {}",
                accounts(Says::Absent)
            ),
        );
    }
    let mut account = format!("{holding} oracles agree");
    if of(Says::Absent).next().is_some() {
        account = format!("{account}; absent: {}", accounts(Says::Absent));
    }
    (Verdict::Pass, account)
}

impl Findings {
    /// Of something that cannot be had of this run's target.
    fn not_to_be_had(what: &str, why: &str) -> Findings {
        Findings {
            stimuli: vec![Stimulus::not_given(what, why.to_owned(), Vec::new())],
            oracles: Vec::new(),
        }
    }
}

impl Stimulus {
    fn new(what: impl Into<String>, evidence: Vec<u64>) -> Stimulus {
        Stimulus {
            what: what.into(),
            seen: !evidence.is_empty(),
            evidence,
            not_given: None,
        }
    }

    /// Something that this target was seen not to give, and why; the evidence is what it did instead.
    fn not_given(what: impl Into<String>, why: String, evidence: Vec<u64>) -> Stimulus {
        Stimulus {
            what: what.into(),
            seen: false,
            evidence,
            not_given: Some(why),
        }
    }
}

impl OracleFinding {
    /// `violations` empty: it holds, for the reason given; else it is violated.
    fn from_violations(
        oracle: &str,
        violations: Vec<String>,
        holds: impl Into<String>,
        evidence: Vec<u64>,
    ) -> OracleFinding {
        let (says, account) = if violations.is_empty() {
            (Says::Holds, holds.into())
        } else {
            (Says::Violated, violations.join(", "))
        };
        OracleFinding {
            oracle: oracle.to_owned(),
            says,
            account,
            evidence,
        }
    }

    fn absent(oracle: &str, account: impl Into<String>) -> OracleFinding {
        OracleFinding {
            oracle: oracle.to_owned(),
            says: Says::Absent,
            account: account.into(),
            evidence: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(seen: bool, says: &[Says]) -> Findings {
        Findings {
            stimuli: vec![Stimulus {
                what: "a stimulus".into(),
                seen,
                evidence: Vec::new(),
                not_given: None,
            }],
            oracles: says
                .iter()
                .map(|says| OracleFinding {
                    oracle: "an oracle".into(),
                    says: *says,
                    account: "an account".into(),
                    evidence: Vec::new(),
                })
                .collect(),
        }
    }

    #[test]
    fn only_seen_stimuli_and_agreeing_oracles_make_a_pass() {
        use Says::{Absent, Holds, Violated};
        let cases: [(bool, &[Says], Verdict); 8] = [
            (true, &[Holds, Holds], Verdict::Pass),
            (true, &[Holds, Holds, Absent], Verdict::Pass),
            (true, &[Holds, Absent], Verdict::Vacuous),
            (true, &[Absent], Verdict::Vacuous),
            (true, &[], Verdict::Vacuous),
            (false, &[Holds, Holds], Verdict::Vacuous),
            (true, &[Holds, Violated], Verdict::Fail),
            (false, &[Violated], Verdict::Fail),
        ];
        for (seen, says, expected) in cases {
            assert_eq!(
                conclude(&findings(seen, says), None).0,
                expected,
                "{seen} {says:?}"
            );
        }
    }

    #[test]
    fn what_the_target_does_not_give_is_not_applicable_unless_something_else_was_missing() {
        use Says::{Holds, Violated};
        let with_one_not_given = |seen, says: &[Says]| {
            let mut findings = findings(seen, says);
            let not_given = Stimulus::not_given("news", "it tells nobody".into(), vec![7]);
            findings.stimuli.push(not_given);
            conclude(&findings, None)
        };
        let (verdict, account) = with_one_not_given(true, &[Holds, Holds]);
        assert_eq!(verdict, Verdict::NotApplicable);
        assert_eq!(account, "it tells nobody");
        assert_eq!(with_one_not_given(true, &[]).0, Verdict::NotApplicable);
        let (verdict, account) = with_one_not_given(false, &[Holds, Holds]);
        assert_eq!(verdict, Verdict::Vacuous);
        assert_eq!(account, "not seen: a stimulus; news");
        assert_eq!(with_one_not_given(true, &[Violated]).0, Verdict::Fail);
    }

    #[test]
    fn the_heaviest_part_decides() {
        use Verdict::{Broken, Fail, NotApplicable, Pass, Vacuous};
        assert_eq!(Verdict::of_all([Pass, Pass]), Pass);
        assert_eq!(Verdict::of_all([Pass, NotApplicable]), Pass);
        assert_eq!(Verdict::of_all([Pass, Vacuous]), Vacuous);
        assert_eq!(Verdict::of_all([Fail, Vacuous]), Fail);
        assert_eq!(Verdict::of_all([Fail, Broken]), Broken);
        assert_eq!(Verdict::of_all([]), Vacuous);
    }
}
