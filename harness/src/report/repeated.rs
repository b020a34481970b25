//! What was carried out several times: how steady the verdicts are, and where runs that differ part.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{Chance, Course, EVIDENCE, Log, Moment, Parting, Sight};
use crate::run::{RunRecord, changes};
use crate::verdict::{Steadiness, Verdict};

/// What was carried out several times, judged by one spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Repeated {
    /// The spec.
    pub spec: String,
    /// The browsers, survivor first.
    pub pair: String,
    /// The target.
    pub target: String,
    /// The mutant, if one was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// The repairs that were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// How steady the verdict of the whole run is.
    pub whole: Steadiness,
    /// How steady that of each check is, in the spec's order.
    pub checks: Vec<RepeatedCheck>,
    /// Of two runs with different verdicts, where their evidence parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Apart>,
}

/// One check of what was carried out several times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RepeatedCheck {
    /// The requirement.
    pub requirement: String,
    /// The check.
    pub check: String,
    /// How steady its verdict is.
    pub steadiness: Steadiness,
    /// Of two runs in which it says different things, where their evidence parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Apart>,
}

/// Two runs with different verdicts whose evidence agrees longer than that of any others, and where it
/// parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Apart {
    /// The one run.
    pub one: Which,
    /// The other one.
    pub other: Which,
    /// Where; nothing where they agree in all that is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parting: Option<Parting>,
    /// Where the order of what came in both parts, if that is before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Parting>,
}

/// One of several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Which {
    /// Which time it was, from 1.
    pub repetition: u32,
    /// What it decided.
    pub verdict: Verdict,
    /// Its folder, below `--out`.
    pub folder: PathBuf,
}

impl Repeated {
    /// Which runs, in words.
    #[must_use]
    pub fn place(&self) -> String {
        let changes = changes(&self.repairs, self.mutant.as_deref());
        format!("{} on {}{changes}", self.spec, self.pair)
    }

    /// What is unstable about it: each check, or the whole run where no check is; what it is called, how
    /// unstable, and where the runs part.
    pub fn unstable(&self) -> impl Iterator<Item = (String, &Steadiness, Option<&Apart>)> {
        let is_of_checks = self.checks.iter().any(|one| one.steadiness.is_unstable());
        let checks = self.checks.iter().map(|one| {
            let name = format!("{} {}", one.requirement, one.check);
            (name, &one.steadiness, one.apart.as_ref())
        });
        let whole = ("the run".to_owned(), &self.whole, self.apart.as_ref());
        let whole = (!is_of_checks).then_some(whole);
        let all = checks.chain(whole);
        all.filter(|(_, steadiness, _)| steadiness.is_unstable())
    }
}

impl Apart {
    /// In words: which runs, and where they part.
    #[must_use]
    pub fn account(&self) -> String {
        let (one, other) = (&self.one, &self.other);
        let Some(parting) = &self.parting else {
            return format!(
                "times {} ({}) and {} ({}) do not part in events, scenes, states, steps or rules",
                one.repetition, one.verdict, other.repetition, other.verdict
            );
        };
        let both = |parting: &Parting| {
            let (here, there) = (parting.one.as_ref(), parting.other.as_ref());
            let (here, there) = (came(one, here), came(other, there));
            format!("{}: {here}; {there}", place_of(parting))
        };
        let order = self.order.as_ref();
        let order = order.map(|order| format!("; before that, in their order, at {}", both(order)));
        format!(
            "they part at {}{}",
            both(parting),
            order.unwrap_or_default()
        )
    }
}

fn place_of(parting: &Parting) -> String {
    let whose = parting.player.as_deref();
    let whose = whose.map_or(String::new(), |player| format!("the {player}, "));
    let after = parting.after.as_deref();
    let after = after.map_or(String::new(), |after| format!(" after `{after}`"));
    format!("{whose}{}{after}", parting.source)
}

fn came(which: &Which, moment: Option<&Moment>) -> String {
    let (time, verdict) = (which.repetition, which.verdict);
    let came = match moment {
        Some(moment) => {
            let scene = moment.scene.as_deref();
            let scene = scene.map_or(String::new(), |scene| format!(" in scene {scene}"));
            let (what, seconds) = (&moment.what, moment.t / 1000.0);
            format!("`{what}`{scene} at {seconds:.3} s (#{})", moment.seq)
        }
        None => "nothing more".to_owned(),
    };
    format!("time {time} ({verdict}) has {came}")
}

/// What makes runs the same but for their time.
fn key(run: &RunRecord) -> impl Eq + Hash {
    (&run.spec, &run.pair, &run.target, &run.mutant, &run.repairs)
}

/// What was carried out several times, each with its runs, in the order in which the first of each stands.
fn several(runs: &[RunRecord]) -> Vec<Vec<&RunRecord>> {
    let mut groups: Vec<Vec<&RunRecord>> = Vec::new();
    let mut places = HashMap::new();
    for run in runs {
        let place = *places.entry(key(run)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// What of these runs was carried out several times, without where those that differ part.
#[must_use]
pub fn repeated(runs: &[RunRecord]) -> Vec<Repeated> {
    several(runs).iter().map(|group| of_group(group)).collect()
}

fn of_group(group: &[&RunRecord]) -> Repeated {
    let first = group[0];
    let attempts: usize = group.iter().map(|run| run.broken_attempts.len()).sum();
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    let checks = first.checks.iter().enumerate().map(|(index, check)| {
        let verdicts = group.iter().filter_map(|run| verdict_of(run, Some(index)));
        RepeatedCheck {
            requirement: check.requirement.clone(),
            check: check.check.clone(),
            steadiness: Steadiness::of(verdicts, attempts),
            apart: None,
        }
    });
    Repeated {
        spec: first.spec.clone(),
        pair: first.pair.clone(),
        target: first.target.clone(),
        mutant: first.mutant.clone(),
        repairs: first.repairs.clone(),
        whole: Steadiness::of(group.iter().map(|run| run.verdict), attempts),
        checks: checks.collect(),
        apart: None,
    }
}

/// The verdict of a check by its place, or of the whole run.
fn verdict_of(run: &RunRecord, check: Option<usize>) -> Option<Verdict> {
    match check {
        Some(index) => run.checks.get(index).map(|check| check.verdict),
        None => Some(run.verdict),
    }
}

/// The same, with where runs that differ part: their evidence is read for it. What cannot be read takes
/// no part.
#[must_use]
pub fn repeated_with_partings(runs: &[RunRecord], out: &Path) -> Vec<Repeated> {
    let mut courses = Courses {
        out,
        read: HashMap::new(),
    };
    let mut all = Vec::new();
    for group in several(runs) {
        let mut one = of_group(&group);
        for (index, check) in one.checks.iter_mut().enumerate() {
            if check.steadiness.is_unstable() {
                check.apart = courses.apart(&group, Some(index));
            }
        }
        let is_told = one.checks.iter().any(|check| check.apart.is_some());
        if one.whole.is_unstable() && !is_told {
            one.apart = courses.apart(&group, None);
        }
        all.push(one);
    }
    all
}

/// How many pairs of runs are compared for one check at most: of thirty runs there are hundreds.
const MOST_PAIRS: usize = 60;

/// The courses of runs, each log read once.
struct Courses<'a> {
    out: &'a Path,
    read: HashMap<PathBuf, Option<Course>>,
}

impl Courses<'_> {
    /// Of these runs, two with different verdicts that agree longest: what comes before tells the least of
    /// the difference.
    fn apart(&mut self, group: &[&RunRecord], check: Option<usize>) -> Option<Apart> {
        for run in group {
            let path = log_of(run, self.out);
            self.read
                .entry(path)
                .or_insert_with_key(|path| Log::read(path).ok().map(|log| Course::of(&log)));
        }
        let by_chance = self.chance(group, check);
        let mut longest: Option<Apart> = None;
        let places = 1..group.len();
        let pairs = places.flat_map(|place| {
            let before = group[..place].iter();
            before.map(move |one| (one, &group[place]))
        });
        let different = pairs.filter_map(|(one, other)| self.two(one, other, check, &by_chance));
        for apart in different.take(MOST_PAIRS) {
            let longer = |longest: &Apart| agreed(&apart) > agreed(longest);
            if longest.as_ref().is_none_or(longer) {
                longest = Some(apart);
            }
        }
        longest
    }

    /// Where two runs part, if they decided differently.
    fn two(
        &self,
        one: &RunRecord,
        other: &RunRecord,
        check: Option<usize>,
        by_chance: &ByChance,
    ) -> Option<Apart> {
        let verdicts = verdict_of(one, check).zip(verdict_of(other, check));
        let (verdict, different) = verdicts.filter(|(one, other)| one != other)?;
        if [verdict, different].contains(&Verdict::Broken) {
            return None;
        }
        let which = |run: &RunRecord, verdict| Which {
            repetition: run.repetition,
            verdict,
            folder: run.folder.clone(),
        };
        let (here, there) = (self.course(one)?, self.course(other)?);
        let none = Chance::default();
        let parts = |by, chance| here.part(there, by, chance);
        let order = parts(Sight::Order, &by_chance.order);
        // Where nothing but chance tells them apart, it is told after all.
        let parting = parts(Sight::Came, &by_chance.came)
            .or_else(|| order.clone())
            .or_else(|| parts(Sight::Came, &none))
            .or_else(|| parts(Sight::Order, &none));
        let is_before = |order: &Parting| {
            let parting = parting.as_ref();
            parting.is_some_and(|parting| order.agreed < parting.agreed)
        };
        Some(Apart {
            one: which(one, verdict),
            other: which(other, different),
            order: order.filter(is_before),
            parting,
        })
    }

    /// What tells apart those of these runs that decided the same.
    fn chance(&self, group: &[&RunRecord], check: Option<usize>) -> ByChance {
        let mut by_chance = ByChance::default();
        let mut last: HashMap<Verdict, &Course> = HashMap::new();
        for run in group {
            let Some((verdict, course)) = verdict_of(run, check).zip(self.course(run)) else {
                continue;
            };
            if let Some(before) = last.insert(verdict, course) {
                by_chance.came.learn(before, course, Sight::Came);
                by_chance.order.learn(before, course, Sight::Order);
            }
        }
        by_chance
    }

    fn course(&self, run: &RunRecord) -> Option<&Course> {
        self.read.get(&log_of(run, self.out))?.as_ref()
    }
}

/// What tells runs apart that decided the same: by what came, and by its order.
#[derive(Default)]
struct ByChance {
    came: Chance,
    order: Chance,
}

/// A run's log: in its folder, or what was judged.
fn log_of(run: &RunRecord, out: &Path) -> PathBuf {
    let path = out.join(&run.folder);
    match path.is_file() {
        true => path,
        false => path.join(EVIDENCE),
    }
}

/// In how many events two runs agree before they part: in all, if they do not.
fn agreed(apart: &Apart) -> usize {
    let parting = apart.parting.as_ref();
    parting.map_or(usize::MAX, |parting| parting.agreed)
}

/// What of all that was carried out several times is steady, in one sentence for each number of runs.
pub(super) fn steady(repeated: &[Repeated]) -> Vec<String> {
    let mut by_number: std::collections::BTreeMap<u32, (usize, f64)> = Default::default();
    let checks = repeated.iter().flat_map(|one| &one.checks);
    for check in checks.filter(|one| !one.steadiness.is_unstable()) {
        let Some(below) = check.steadiness.below else {
            continue;
        };
        let known = by_number.entry(check.steadiness.decided).or_default();
        *known = (known.0 + 1, below);
    }
    let by_number = by_number.into_iter().map(|(decided, (checks, below))| {
        let checks = match checks {
            1 => "1 check says".to_owned(),
            many => format!("{many} checks say"),
        };
        let below = crate::verdict::percent(below, f64::ceil);
        format!(
            "{checks} the same {decided} of {decided} times: another verdict comes in below {below} of \
             runs, with 95 % confidence"
        )
    });
    by_number.collect()
}
