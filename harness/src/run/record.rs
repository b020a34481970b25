//! What is left of one run.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{BrokenFact, Log, Profile, RunFacts};
use crate::provision::quoted;
use crate::spec::{Expectation, Spec};
use crate::target::TargetFacts;
use crate::verdict::{CheckResult, Verdict, expect, judge};

/// What is left of one run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunRecord {
    /// The spec's name.
    pub spec: String,
    /// What it says of itself, in one sentence.
    #[serde(default)]
    pub title: String,
    /// The browsers, survivor first.
    pub pair: String,
    /// The target.
    pub target: String,
    /// The mutant, if one was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// Which time it was carried out in this call, from 1.
    #[serde(default = "once")]
    pub repetition: u32,
    /// The repairs that were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// The verdict of the run.
    pub verdict: Verdict,
    /// The verdict that is known for this target.
    pub expected: Verdict,
    /// Each check, with the evidence that it rests on.
    pub checks: Vec<CheckResult>,
    /// How often it was carried out: a broken run may be carried out again, twice at most.
    pub attempts: u32,
    /// Why the attempts before the last one decided nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken_attempts: Vec<BrokenFact>,
    /// Why the run could not be carried out, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<BrokenFact>,
    /// The step that the target missed, if it missed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
    /// What the pages and the target said last before that, where the experiment is not the spec's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_words: Vec<String>,
    /// The grid that gave the browsers, if they were not this machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<String>,
    /// The user's own folder of specs that the call named with `--specs`, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specs: Option<PathBuf>,
    /// The run's folder, below `--out`.
    pub folder: PathBuf,
    /// When it began (the last attempt, if there were several), RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// On what that time went.
    #[serde(default)]
    pub profile: Profile,
}

fn once() -> u32 {
    1
}

/// Judges a log by a spec, with what is known of its target, and gives the record of it.
#[must_use]
pub fn record(spec: &Spec, log: &Log, known: &[Expectation], folder: PathBuf) -> RunRecord {
    let mut judgement = judge(spec, log);
    expect(&mut judgement, spec, log, known);
    RunRecord {
        title: spec.body.title.clone(),
        verdict: judgement.verdict,
        expected: Verdict::of_all(judgement.checks.iter().map(|check| check.expected)),
        checks: judgement.checks,
        broken: judgement.broken,
        missed: judgement.missed,
        last_words: log
            .missed()
            .map(|(_, step)| step.last_words.clone())
            .unwrap_or_default(),
        seconds: log.events().last().map_or(0.0, |event| event.t / 1000.0),
        profile: log.profile(spec),
        ..RunRecord::unjudged(spec.name.clone(), log.run(), folder)
    }
}

impl RunRecord {
    /// A run that no spec has judged, with what its log says of it.
    #[must_use]
    pub fn unjudged(spec: String, run: Option<&RunFacts>, folder: PathBuf) -> RunRecord {
        let said = |field: fn(&RunFacts) -> String| run.map(field).unwrap_or_default();
        RunRecord {
            spec,
            title: String::new(),
            pair: said(|run| run.pair.clone()),
            target: said(|run| run.target.clone()),
            mutant: run.and_then(|run| run.mutant.clone()),
            repairs: run.map(|run| run.repairs.clone()).unwrap_or_default(),
            repetition: 1,
            verdict: Verdict::Broken,
            expected: Verdict::Pass,
            checks: Vec::new(),
            attempts: 1,
            broken_attempts: Vec::new(),
            broken: None,
            missed: None,
            last_words: Vec::new(),
            grid: run.and_then(|run| run.grid.clone()),
            specs: None,
            folder,
            started_at: run.map(|run| run.started_at.clone()),
            seconds: 0.0,
            profile: Profile::default(),
        }
    }

    /// The same run, of which nothing can be decided any more.
    #[must_use]
    pub fn undecided(self, broken: &BrokenFact) -> RunRecord {
        let checks = self.checks.into_iter().map(|check| CheckResult {
            verdict: Verdict::Broken,
            account: broken.reason.clone(),
            stimuli: Vec::new(),
            oracles: Vec::new(),
            counts: None,
            ..check
        });
        RunRecord {
            verdict: Verdict::Broken,
            checks: checks.collect(),
            broken: Some(broken.clone()),
            missed: None,
            last_words: Vec::new(),
            ..self
        }
    }

    /// The command that plays it again; a target that is a checkout is named by its folder.
    #[must_use]
    pub fn again(&self, targets: &[TargetFacts]) -> String {
        let (spec, pair) = (&self.spec, &self.pair);
        let own = self.specs.as_ref();
        let own = own.map_or_else(String::new, |own| {
            format!(" --specs {}", quoted(&own.display().to_string()))
        });
        let grid = self.grid.as_ref();
        let grid = grid.map_or_else(String::new, |grid| format!(" --webdriver {}", quoted(grid)));
        let served = own + &self.how_it_was_served(targets) + &grid;
        if let Some(mutant) = &self.mutant {
            // It names its spec and its repairs.
            return format!("gymcheck run --mutant {mutant}{served} --pairs {pair}");
        }
        let repairs = self.repairs.iter();
        let repairs: String = repairs.map(|name| format!(" --repair {name}")).collect();
        format!("gymcheck run {spec}{served} --pairs {pair}{repairs}")
    }

    /// The flags that name its target and its experiment.
    fn how_it_was_served(&self, targets: &[TargetFacts]) -> String {
        match targets.iter().find(|facts| facts.name == self.target) {
            Some(facts) => flags_of(facts),
            None => format!(" --target {}", quoted(&self.target)),
        }
    }

    /// Whether anything about it is not as expected. A broken run decided nothing.
    #[must_use]
    pub fn is_unexpected(&self) -> bool {
        let of_checks = || {
            self.checks
                .iter()
                .any(|check| check.verdict != check.expected)
        };
        self.verdict != Verdict::Broken && (self.verdict != self.expected || of_checks())
    }
}

/// The flags that name a target and what it serves; a checkout is named by its folder.
#[must_use]
pub fn flags_of(facts: &TargetFacts) -> String {
    let target = match &facts.experiment {
        // A user's own command starts a target that has no other name.
        Some(command) if *command == facts.name => String::new(),
        Some(_) | None => {
            let name = facts.path.as_ref().unwrap_or(&facts.name);
            format!(" --target {}", quoted(name))
        }
    };
    let experiment = facts.experiment.iter();
    let experiment = experiment.map(|name| format!(" --experiment {}", quoted(name)));
    let without = facts.without.iter();
    let without = without.map(|name| format!(" --without {}", quoted(name)));
    let assets = facts.from_public_hosts.then(|| " --assets cdn".to_owned());
    let flags = [target]
        .into_iter()
        .chain(experiment)
        .chain(without)
        .chain(assets);
    flags.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_plays_it_again_names_the_users_own_folder() {
        let run = |mutant: Option<&str>| -> RunRecord {
            serde_json::from_value(serde_json::json!({
                "spec": "a/b", "pair": "chrome+chrome", "target": "mug@1", "verdict": "pass",
                "expected": "pass", "attempts": 1, "folder": "f", "seconds": 1.0, "checks": [],
                "mutant": mutant, "specs": "/home/me/my specs",
            }))
            .expect("a record")
        };
        assert_eq!(
            run(None).again(&[]),
            "gymcheck run a/b --specs '/home/me/my specs' --target mug@1 --pairs chrome+chrome"
        );
        let on_grid = RunRecord {
            grid: Some("http://grid.example:4444".into()),
            ..run(None)
        };
        assert_eq!(
            on_grid.again(&[]),
            "gymcheck run a/b --specs '/home/me/my specs' --target mug@1 --webdriver http://grid.example:4444 \
             --pairs chrome+chrome"
        );
        assert_eq!(
            run(Some("m")).again(&[]),
            "gymcheck run --mutant m --specs '/home/me/my specs' --target mug@1 --pairs chrome+chrome"
        );
    }

    #[test]
    fn the_command_that_plays_it_again_supplies_the_page_as_before() {
        let run: RunRecord = serde_json::from_value(serde_json::json!({
            "spec": "a/b", "pair": "chrome+chrome", "target": "python study.py", "verdict": "pass",
            "expected": "pass", "attempts": 1, "folder": "f", "seconds": 1.0, "checks": [],
        }))
        .expect("a record");
        let target = TargetFacts {
            without: vec!["opencv-python".into()],
            from_public_hosts: true,
            ..TargetFacts::of_command("python study.py")
        };
        assert_eq!(
            run.again(&[target]),
            "gymcheck run a/b --experiment 'python study.py' --without opencv-python --assets cdn \
             --pairs chrome+chrome"
        );
    }
}
