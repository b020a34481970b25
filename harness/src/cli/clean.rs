//! What gymcheck keeps on this machine, and its removal.

use std::io::{BufRead, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use clap::Args;
use gymcheck::provision::{self, Cache, CachePart, Holding, Home, scratches};
use gymcheck::report::ExitStatus;
use gymcheck::spec::SpecError;
use gymcheck::stage::{LeftStage, left_stages};
use indicatif::BinaryBytes;
use time::OffsetDateTime;

use super::Outcome;

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck clean
      say what is kept, with sizes and names; nothing is removed
  gymcheck clean --unused
      what broken-off setups and killed runs left, and environments that no run has used for 30 days
  gymcheck clean targets stages
      two parts, with all that is in them
  gymcheck clean mug-needs-a693249b533c
      one environment
  gymcheck clean --all --yes
      everything, without being asked

Things are removed only where no run and no setup of gymcheck needs them now; what gymcheck did not make
stays. The results of runs are not touched: they are in the folders that `gymcheck run --out` names.

Exit status: 0 done, or nothing to do, or the answer was no; 2 a mistake in the call, or nobody to ask;
3 something is in use, or cannot be removed.";

/// The part that is not in the cache: the folders of stages, where temporary files are.
const STAGES: &str = "stages";

/// For how many days nothing may have used what `--unused` removes, unless it says otherwise.
const DAYS: &str = "30";

/// How many things are named that gymcheck did not make.
const MOST_FOREIGN: usize = 5;

#[derive(Args)]
pub(super) struct CleanArguments {
    /// What to remove: a part (targets, assets, programs, downloads, logs, left-overs, stages), or one of
    /// its things by name
    #[arg(value_name = "NAME", conflicts_with_all = ["all", "unused"])]
    names: Vec<String>,
    /// Remove everything that gymcheck keeps on this machine
    #[arg(long, conflicts_with = "unused")]
    all: bool,
    /// Remove what is of no use: what broken-off setups and killed runs left, and environments that no
    /// run has used for DAYS days
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true, default_missing_value = DAYS)]
    unused: Option<u32>,
    /// Remove it without being asked
    #[arg(long)]
    yes: bool,
}

impl CleanArguments {
    fn selects_nothing(&self) -> bool {
        self.names.is_empty() && !self.all && self.unused.is_none()
    }
}

pub(super) fn clean(arguments: &CleanArguments) -> Outcome {
    let home = Home::locate()?;
    let kept = Kept {
        cache: provision::cache(&home)?,
        stages: left_stages(),
    };
    if arguments.selects_nothing() {
        kept.tell();
        return Ok(ExitStatus::AsExpected);
    }
    let selected = kept.select(arguments)?;
    if selected.is_empty() {
        anstream::println!("nothing to remove");
        return Ok(ExitStatus::AsExpected);
    }
    if !may_remove(&selected, arguments.yes)? {
        anstream::println!("nothing was removed");
        return Ok(ExitStatus::AsExpected);
    }
    remove(&kept.cache, &selected)
}

/// All that gymcheck keeps on this machine, but for the results of runs.
struct Kept {
    cache: Cache,
    stages: Vec<LeftStage>,
}

/// One thing of it.
#[derive(Clone, Copy)]
enum Thing<'a> {
    Holding(&'a Holding),
    Stage(&'a LeftStage),
}

impl Thing<'_> {
    fn part(&self) -> &'static str {
        match self {
            Thing::Holding(holding) => holding.part.name(),
            Thing::Stage(_) => STAGES,
        }
    }

    fn name(&self) -> String {
        match self {
            Thing::Holding(holding) => holding.name.clone(),
            Thing::Stage(stage) => {
                let name = stage.path.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Thing::Holding(holding) => holding.bytes,
            Thing::Stage(stage) => stage.bytes,
        }
    }

    /// Whether it is of no use any more, or was used by nobody for so long.
    fn is_unused(&self, days: u32) -> bool {
        match self {
            Thing::Stage(stage) => !stage.is_kept && stage.alive.is_empty(),
            Thing::Holding(holding) => match holding.part {
                CachePart::Downloads | CachePart::LeftOvers => true,
                // Browsers move on, and then nothing asks for it any more; it is soon made again.
                CachePart::Compiled | CachePart::Targets => {
                    let last = holding.used.max(holding.made);
                    !holding.is_whole || last.is_none_or(|last| is_older(last, days))
                }
                CachePart::Assets => !holding.is_whole,
                CachePart::Recorded | CachePart::Programs | CachePart::Grid | CachePart::Logs => {
                    false
                }
            },
        }
    }

    /// What is to be known of it besides its size.
    fn account(&self) -> String {
        match self {
            Thing::Holding(holding) if !holding.is_whole => "half-made: of no use".to_owned(),
            Thing::Holding(holding) => {
                let made = holding.made.map(|made| format!("made {}", day(made)));
                let used = holding.used.map(|used| format!("used {}", day(used)));
                made.into_iter().chain(used).collect::<Vec<_>>().join(", ")
            }
            Thing::Stage(stage) => {
                let why = match (stage.alive.is_empty(), stage.is_kept) {
                    (false, _) => "left, and processes of it still run",
                    (true, true) => "kept with --keep",
                    (true, false) => "left by a run that was killed",
                };
                format!("{why}, {}", day(stage.since))
            }
        }
    }
}

impl Kept {
    fn things(&self) -> Vec<Thing<'_>> {
        let holdings = self.cache.holdings.iter().map(Thing::Holding);
        holdings
            .chain(self.stages.iter().map(Thing::Stage))
            .collect()
    }

    fn select(&self, arguments: &CleanArguments) -> Result<Vec<Thing<'_>>, SpecError> {
        let mut things = self.things();
        if let Some(days) = arguments.unused {
            things.retain(|thing| thing.is_unused(days));
        } else if !arguments.all {
            self.check(&arguments.names)?;
            let is_named = |name: &str| arguments.names.iter().any(|wanted| wanted == name);
            things.retain(|thing| is_named(thing.part()) || is_named(&thing.name()));
        }
        Ok(things)
    }

    /// That there is something of each name.
    fn check(&self, names: &[String]) -> Result<(), SpecError> {
        let parts = CachePart::ALL.map(CachePart::name);
        let mut known: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        known.push(STAGES.to_owned());
        for name in self.things().iter().map(Thing::name) {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        match names.iter().find(|name| !known.contains(name)) {
            Some(wrong) => {
                let known = known.iter().map(String::as_str);
                Err(SpecError::unknown("part or thing to remove", wrong, known))
            }
            None => Ok(()),
        }
    }

    fn tell(&self) {
        let cache = &self.cache;
        let root = cache.root.display();
        match cache.holdings.is_empty() {
            true => anstream::println!("nothing that gymcheck made is in {root}"),
            false => anstream::println!("{} in {root}", size(cache.bytes())),
        }
        for part in CachePart::ALL {
            let things: Vec<Thing<'_>> = cache.of(part).map(Thing::Holding).collect();
            tell_part(part.name(), part.purpose(), &things);
        }
        let things: Vec<Thing<'_>> = self.stages.iter().map(Thing::Stage).collect();
        let places = scratches();
        let places: Vec<String> = places.iter().map(|one| one.display().to_string()).collect();
        let purpose = format!(
            "folders of runs in {}: killed ones left them, or --keep did",
            places.join(" and ")
        );
        tell_part(STAGES, &purpose, &things);
        self.tell_foreign();
        anstream::println!(
            "\nto remove something: gymcheck clean NAME… (a part, or a thing in it), --unused, or --all\n\
             the results of runs are in the folders that `gymcheck run --out` names"
        );
    }

    fn tell_foreign(&self) {
        let foreign = &self.cache.foreign;
        let some = foreign.iter().take(MOST_FOREIGN);
        for (index, path) in some.enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            anstream::println!(
                "{gap}left alone, since gymcheck did not make it: {}",
                path.display()
            );
        }
        if let Some(more) = foreign
            .len()
            .checked_sub(MOST_FOREIGN)
            .filter(|more| *more > 0)
        {
            anstream::println!("left alone as well: {more} more");
        }
    }
}

fn tell_part(name: &str, purpose: &str, things: &[Thing<'_>]) {
    if things.is_empty() {
        return;
    }
    let bytes = things.iter().map(Thing::bytes).sum();
    anstream::println!("\n{name:<10} {:>11}  {purpose}", size(bytes));
    for thing in things {
        // What is the only thing of its part has been told with it.
        if thing.name() != name {
            let (name, size, account) = (thing.name(), size(thing.bytes()), thing.account());
            anstream::println!("  {name:<36} {size:>11}  {account}");
        }
    }
}

/// Says what is to go, and asks.
fn may_remove(things: &[Thing<'_>], yes: bool) -> Result<bool, String> {
    for thing in things {
        let (name, size) = (thing.name(), size(thing.bytes()));
        anstream::eprintln!("  {:<10} {name:<36} {size:>11}", thing.part());
    }
    let bytes = things.iter().map(Thing::bytes).sum();
    let question = format!("remove these {}, {}?", things.len(), size(bytes));
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "nobody is there to be asked: {question} Say --yes if they may go; nothing was removed"
        ));
    }
    anstream::eprint!("{question} [y/N] ");
    // Whether the question is seen or not, the answer decides.
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| format!("the answer cannot be read: {error}"))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Removes what can be removed. What cannot is told at the end, by its first error.
fn remove(cache: &Cache, things: &[Thing<'_>]) -> Outcome {
    let mut error: Option<Box<dyn std::error::Error>> = None;
    let mut holdings = Vec::new();
    for thing in things {
        match thing {
            Thing::Holding(holding) => holdings.push(*holding),
            Thing::Stage(stage) => match stage.remove() {
                Ok(()) => tell_removed(thing),
                Err(failed) => error = error.or(Some(failed.into())),
            },
        }
    }
    let removed = cache.remove(holdings, |holding| tell_removed(&Thing::Holding(holding)));
    match (removed, error) {
        (Err(failed), _) => Err(failed.into()),
        (Ok(()), Some(failed)) => Err(failed),
        (Ok(()), None) => Ok(ExitStatus::AsExpected),
    }
}

fn tell_removed(thing: &Thing<'_>) {
    anstream::println!(
        "removed {} {}, {}",
        thing.part(),
        thing.name(),
        size(thing.bytes())
    );
}

fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

fn is_older(time: SystemTime, days: u32) -> bool {
    let age = SystemTime::now().duration_since(time).unwrap_or_default();
    age >= Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

fn day(time: SystemTime) -> String {
    OffsetDateTime::from(time).date().to_string()
}
