//! Parting the runs of a call among several machines.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Item, RunRecord, Side, changes, scenario_of};
use crate::spec::Pair;

/// Which part of a call's runs is carried out here, as `2/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parts = text
            .split_once('/')
            .map(|(one, all)| (one.parse(), all.parse()));
        match parts {
            Some((Ok(number), Ok(of))) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            _ => Err(format!(
                "`{text}` is no shard: write which one of how many, as 1/3, 2/3 and 3/3"
            )),
        }
    }
}

/// Which part of a call's runs results are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ShardRecord {
    /// Which shard it is, from 1.
    pub number: usize,
    /// The runs of each shard of the call, by their titles: all shards of one call say the same here.
    pub plan: Vec<Vec<String>>,
}

impl ShardRecord {
    /// How many shards the call has.
    #[must_use]
    pub fn of(&self) -> usize {
        self.plan.len()
    }
}

impl fmt::Display for ShardRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.number, self.of())
    }
}

/// A shard of a call whose results were not there, or not all of them, when those of the others were put
/// together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MissingShard {
    /// Which shard it is, from 1.
    pub number: usize,
    /// How many shards the call has.
    pub of: usize,
    /// The runs of which nothing is known.
    pub runs: Vec<String>,
}

impl fmt::Display for MissingShard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// Keeps the runs of this shard, and says which ones all of them have.
    ///
    /// What is compared stays together: the run with a mutant and the one without it, and the same run on
    /// two targets. Each such group goes to the shard that has the least to do so far, the longest group
    /// first; how long one takes, earlier results say, and otherwise all runs count the same. All machines
    /// that are given the same call and the same earlier results come to the same shards.
    ///
    /// # Errors
    /// There are more shards than groups.
    pub fn part<'a>(
        self,
        items: Vec<Item<'a>>,
        earlier: &[RunRecord],
    ) -> Result<(Vec<Item<'a>>, ShardRecord), String> {
        let shares = shares(&items, earlier, self.of)?;
        let titles = |share: &Vec<usize>| share.iter().map(|index| name(&items[*index])).collect();
        let record = ShardRecord {
            number: self.number,
            plan: shares.iter().map(titles).collect(),
        };
        let own = &shares[self.number - 1];
        let kept = items.into_iter().enumerate();
        let kept = kept.filter(|(index, _)| own.contains(index));
        Ok((kept.map(|(_, item)| item).collect(), record))
    }
}

/// The items of each shard, by their places.
fn shares(items: &[Item<'_>], earlier: &[RunRecord], of: usize) -> Result<Vec<Vec<usize>>, String> {
    let known: Vec<Option<f64>> = items.iter().map(|item| seconds(item, earlier)).collect();
    let counted = known.iter().flatten().count().max(1);
    let mean = known.iter().flatten().sum::<f64>() / counted as f64;
    let otherwise = if mean > 0.0 { mean } else { 1.0 };

    let is_compared = items.iter().any(|item| item.side == Side::Against);
    let mut groups: BTreeMap<_, (f64, Vec<usize>)> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let (takes, places) = groups.entry(group(item, is_compared)).or_default();
        *takes += known[index].unwrap_or(otherwise);
        places.push(index);
    }
    let mut groups: Vec<(f64, Vec<usize>)> = groups.into_values().collect();
    if of > groups.len() {
        return Err(format!(
            "{of} shards are more than there are runs that can be parted: {}; give fewer shards",
            groups.len()
        ));
    }
    groups.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    let mut shares: Vec<(f64, Vec<usize>)> = vec![(0.0, Vec::new()); of];
    for (takes, places) in groups {
        let least = shares
            .iter_mut()
            .min_by(|one, other| one.0.total_cmp(&other.0));
        let Some(least) = least else { break };
        least.0 += takes;
        least.1.extend(places);
    }
    Ok(shares
        .into_iter()
        .map(|(_, mut share)| {
            share.sort_unstable();
            share
        })
        .collect())
}

/// What stays together. Where two targets are compared, one run may be played on repairs that the other is not.
fn group(item: &Item<'_>, is_compared: bool) -> (String, Pair, Vec<String>, u32) {
    let repairs = item.repair_names().filter(|_| !is_compared);
    let repairs = repairs.map(str::to_owned).collect();
    (
        item.scenario.name.clone(),
        item.pair,
        repairs,
        item.repetition,
    )
}

/// How long a run took before, on average.
fn seconds(item: &Item<'_>, earlier: &[RunRecord]) -> Option<f64> {
    let pair = item.pair.to_string();
    let is_it = |run: &&RunRecord| {
        run.pair == pair
            && run.mutant.as_deref() == item.mutant.map(|mutant| mutant.name.as_str())
            && item
                .repair_names()
                .eq(run.repairs.iter().map(String::as_str))
            && item.specs.iter().any(|spec| spec.name == run.spec)
    };
    let took: Vec<f64> = earlier
        .iter()
        .filter(is_it)
        .map(|run| run.seconds)
        .collect();
    (!took.is_empty()).then(|| took.iter().sum::<f64>() / took.len() as f64)
}

/// What a run is called in a plan: no two of a call are called the same.
fn name(item: &Item<'_>) -> String {
    named(&item.title(), item.repetition, item.side)
}

/// What a run was called in the plan, from what is left of it: the folder says which scenario it played.
#[must_use]
pub fn name_in_plan(run: &RunRecord, side: Side) -> String {
    let scenario = scenario_of(&run.folder);
    let changes = changes(&run.repairs, run.mutant.as_deref());
    let title = format!("{scenario} {}{changes}", run.pair);
    named(&title, run.repetition, side)
}

fn named(title: &str, repetition: u32, side: Side) -> String {
    let time = match repetition {
        1 => String::new(),
        many => format!(", time {many}"),
    };
    let side = match side {
        Side::Target => "",
        Side::Against => ", on the second target",
    };
    format!("{title}{time}{side}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::run::{Selection, find_root};
    use crate::spec::Catalogue;

    fn catalogue() -> Catalogue {
        Catalogue::read(&find_root()).expect("the checkout's specs")
    }

    fn items<'a>(catalogue: &'a Catalogue, mutants: &[String], repeat: u32) -> Vec<Item<'a>> {
        Selection {
            specs: &[],
            pairs: None,
            repairs: &[],
            mutants,
            repeat,
            against: false,
            pinned: [true, false],
        }
        .items(catalogue)
        .expect("runs")
    }

    fn names(items: &[Item<'_>]) -> Vec<String> {
        items.iter().map(name).collect()
    }

    #[test]
    fn a_shard_is_one_of_so_many() {
        assert_eq!("2/3".parse(), Ok(Shard { number: 2, of: 3 }));
        for wrong in ["", "2", "0/3", "4/3", "1/0", "a/b", "1/3/3", "-1/2"] {
            let error = wrong.parse::<Shard>().expect_err(wrong);
            assert!(error.contains("1/3, 2/3 and 3/3"), "{error}");
        }
    }

    #[test]
    fn each_run_is_in_one_shard_and_all_say_the_same_plan() {
        let catalogue = catalogue();
        for (mutants, repeat) in [(vec![], 1), (vec![], 2), (vec!["all".to_owned()], 1)] {
            let all = items(&catalogue, &mutants, repeat);
            let mut seen = Vec::new();
            let mut plans = Vec::new();
            for number in 1..=4 {
                let shard = Shard { number, of: 4 };
                let (own, record) = shard.part(all.clone(), &[]).expect("a share");
                assert_eq!(names(&own), record.plan[number - 1]);
                assert!(own.len() >= all.len() / 4 - 12, "{}", own.len());
                // The run without a mutant is where the mutant is.
                for item in own.iter().filter(|item| item.mutant.is_some()) {
                    assert!(own.iter().any(|one| one.is_base_of(item)));
                }
                seen.extend(names(&own));
                plans.push(record.plan);
            }
            plans.dedup();
            assert_eq!(plans.len(), 1);
            let mut expected = names(&all);
            expected.sort();
            seen.sort();
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn what_is_left_of_a_run_is_called_as_in_the_plan() {
        let catalogue = catalogue();
        let selection = Selection {
            specs: &[],
            pairs: None,
            repairs: &["all".to_owned()],
            mutants: &[],
            repeat: 2,
            against: true,
            pinned: [true, true],
        };
        let mut all = selection.items(&catalogue).expect("runs");
        all.extend(items(&catalogue, &["all".to_owned()], 2));
        assert!(all.len() > 100, "{}", all.len());
        for item in &all {
            for attempt in [1, 2] {
                let run = serde_json::from_value(serde_json::json!({
                    "spec": item.specs[0].name, "pair": item.pair.to_string(), "target": "mug@1",
                    "repairs": item.repair_names().collect::<Vec<_>>(),
                    "mutant": item.mutant.map(|mutant| &mutant.name), "repetition": item.repetition,
                    "verdict": "pass", "expected": "pass", "checks": [], "attempts": attempt,
                    "folder": Path::new("runs").join(item.folder(attempt)), "seconds": 1.0,
                }));
                let run = run.expect("a record");
                assert_eq!(name_in_plan(&run, item.side), name(item));
            }
        }
    }

    #[test]
    fn what_is_known_to_take_long_has_a_shard_for_itself() {
        let catalogue = catalogue();
        let all = items(&catalogue, &[], 1);
        let earlier: Vec<RunRecord> = all
            .iter()
            .map(|item| {
                let long = item.scenario.name == "long/eight-games";
                serde_json::from_value(serde_json::json!({
                    "spec": item.specs[0].name, "pair": item.pair.to_string(), "target": "mug@1",
                    "repairs": item.repair_names().collect::<Vec<_>>(),
                    "verdict": "pass", "expected": "pass", "checks": [], "attempts": 1,
                    "folder": "", "seconds": if long { 10_000.0 } else { 10.0 },
                }))
                .expect("a record")
            })
            .collect();
        let first = Shard { number: 1, of: 2 };
        let (own, _) = first.part(all.clone(), &earlier).expect("a share");
        assert_eq!(own.len(), 1);
        assert_eq!(own[0].scenario.name, "long/eight-games");
        let (own, _) = first.part(all.clone(), &[]).expect("a share");
        assert!(own.len() > 10);
    }

    #[test]
    fn more_shards_than_runs_are_a_mistake_for_each_of_them() {
        let catalogue = catalogue();
        let all = items(&catalogue, &[], 1);
        for number in [1, 1000] {
            let error = Shard { number, of: 1000 }.part(all.clone(), &[]);
            assert!(error.is_err_and(|error| error.contains("give fewer shards")));
        }
    }

    #[test]
    fn a_run_on_two_targets_stays_together() {
        let catalogue = catalogue();
        for pinned in [[true, true], [true, false], [false, true]] {
            let selection = Selection {
                specs: &[],
                pairs: None,
                repairs: &[],
                mutants: &[],
                repeat: 2,
                against: true,
                pinned,
            };
            let all = selection.items(&catalogue).expect("runs");
            for number in 1..=7 {
                let shard = Shard { number, of: 7 };
                let (own, _) = shard.part(all.clone(), &[]).expect("a share");
                assert!(!own.is_empty());
                let judged = |side: Side| {
                    let items = own.iter().filter(move |item| item.side == side);
                    let judged = items.flat_map(|item| {
                        let specs = item.specs.iter();
                        specs.map(|spec| (&spec.name, item.pair, item.repetition))
                    });
                    judged.collect::<BTreeSet<_>>()
                };
                assert_eq!(judged(Side::Target), judged(Side::Against), "{pinned:?}");
            }
        }
    }
}
