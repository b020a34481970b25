//! Carrying out runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::StreamExt;
use gymcheck::report::{
    AGAINST, Loudness, OutFolder, Progress, RUNS, Results, defects, read_results, repeated,
    repeated_with_partings, write_reports, write_results,
};
use gymcheck::run::{
    IN_LINE, Invocation, Item, MOST_RETRIES, Measuring, PrepareError, RunRecord, Selection, Shard,
    ShardRecord, Side, Wanted, base_of, browsers_of, default_jobs, equivalents, fate_of,
    measures_of, names_all,
};
use gymcheck::spec::{Catalogue, Pair};
use gymcheck::stage::{Grid, interrupted, on_signal};
use gymcheck::target::{ExperimentName, PINNED_RELEASE, TargetName};

use super::assets::PageAssets;
use super::grid::GridArguments;
use super::{Outcome, OwnSpecs, own_ground, parse_target, tell_all};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck run
      every spec on its own pairs of browsers
  gymcheck run mid-game --pairs chrome+chrome,firefox+firefox
      one folder of specs on two pairs
  gymcheck run --mutant all
      does the right check catch each mutant?
  gymcheck run scene-exit/partner-dies-on-survey --repeat 5 --out results
      the same run five times, its evidence and results.json in the folder `results`
  gymcheck run --shard 1/3 --out shard-1
      a third of all runs; the other two on other machines. `gymcheck report shard-1 shard-2 shard-3` puts
      them together
  gymcheck run --webdriver http://grid.example:4444 --pairs chrome+chrome,chrome+firefox
      every spec with the browsers of a Selenium Grid that your team has already
  gymcheck run --specs my-specs
      the specs of a folder of your own, beside those of the checkout
  gymcheck run --target ../mug
      every spec on a checkout beside this one, of the package mug or interactive_gym
  gymcheck run --experiment \"python -m my_study --port {port}\"
      a user's own experiment, started by its own command in this folder: the specs that ask what holds
      of any experiment
  gymcheck run --target http://localhost:8000
      the same on a server that already runs; it is asked first
  gymcheck run --target mug@0.1.3 --against ../mug
      what a checkout makes better or worse than a release; status 1 if anything is worse there, or
      not as expected there

A run takes about 40 seconds on a small machine. `vacuous` means that nothing was proven, `broken`
that the run could not be carried out: neither is a pass.";

/// Where results go, unless the call says otherwise.
pub(super) const OUT: &str = "target/gymcheck";

#[derive(Args)]
pub(super) struct RunArguments {
    /// Specs by name, as `scene-exit/partner-dies-on-survey`, or by folder, as `scene-exit`; with
    /// --specs and none named, those of its folder
    #[arg(value_name = "SPEC")]
    specs: Vec<String>,
    #[command(flatten)]
    own: OwnSpecs,
    /// What is tested: a release, the path of a checkout, or the address of a server that already runs,
    /// as http://localhost:8000 [default: mug@0.1.3]
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    pub(super) target: Option<TargetName>,
    /// What it serves instead of each spec's own experiment: the name of one of this project's, a folder
    /// with an experiment.py that is called like those, or a command line that starts a server with your
    /// own, in this folder and with this environment ({port} stands for the port). Without SPEC, the specs
    /// that ask what holds of any experiment are run
    #[arg(long, value_name = "EXPERIMENT", value_parser = parse_experiment)]
    pub(super) experiment: Option<ExperimentName>,
    #[command(flatten)]
    assets: PageAssets,
    /// Go on without being asked where a server that already runs gets new participants
    #[arg(long)]
    pub(super) yes: bool,
    /// Run the same on this second target, and show the differences first: what got worse there,
    /// what got better
    #[arg(long, value_name = "TARGET", value_parser = parse_target, conflicts_with = "mutant")]
    pub(super) against: Option<TargetName>,
    /// Pairs of browsers, survivor first, instead of each spec's own
    #[arg(long, value_delimiter = ',', value_name = "PAIR", value_parser = parse_pair)]
    pairs: Option<Vec<Pair>>,
    /// Apply these repairs of known defects of the release (`all` for all of them)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        conflicts_with = "mutant"
    )]
    repair: Vec<String>,
    /// Try these mutants (`all` for all of them but those proven equivalent), each on the specs that
    /// must find it (those that are among SPEC, of which there must be one) and on the repairs that it
    /// names, against a run without it
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    mutant: Vec<String>,
    /// Carry out this many runs at once, those of other calls included; by default two for each processor, if
    /// the memory that is free (2 GiB for each) allows it, and one where gymcheck may not say which goes first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Carry every run out this many times, and say how steady each verdict is: how often another one came,
    /// and below which rate that lies with 95 % confidence (ten equal ones show no more than "below 26 %").
    /// Where they differ, the check is `unstable`, which is never a pass, and the place is told where the
    /// evidence of two such runs parts
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Carry a broken run out again, this many times at most (0 to 2); never one that failed
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(MOST_RETRIES)))]
    retry_broken: u32,
    /// Carry out one part of the runs, as 1/3; the others are for other machines, whose calls are the same but
    /// for this. What is compared stays together. `gymcheck report DIR…` puts the parts together
    #[arg(long, value_name = "K/N", value_parser = parse_shard)]
    shard: Option<Shard>,
    /// Part them by how long they took in the results in this folder, as `--out` wrote it, instead of evenly; all
    /// machines need the same one
    #[arg(long, value_name = "DIR", requires = "shard")]
    durations: Option<PathBuf>,
    #[command(flatten)]
    grid: GridArguments,
    /// Show the browsers' windows
    #[arg(long)]
    headed: bool,
    /// Leave the stage's folder (profiles, data files) where it is
    #[arg(long)]
    keep: bool,
    /// Where the reports go, and the evidence, logs and pictures of the runs [default: target/gymcheck, or
    /// target/gymcheck-2 and so on while another call writes there]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn parse_pair(text: &str) -> Result<Pair, String> {
    text.parse()
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    text.parse()
}

pub(super) fn parse_experiment(text: &str) -> Result<ExperimentName, String> {
    text.parse()
        .map_err(|error: gymcheck::target::TargetError| error.to_string())
}

impl RunArguments {
    fn target(&self) -> TargetName {
        let pinned = TargetName::Release(PINNED_RELEASE);
        self.target.clone().unwrap_or(pinned)
    }

    /// Whether each spec's own experiment is what is served.
    fn is_of_the_specs(&self) -> bool {
        let runs = |target: &TargetName| matches!(target, TargetName::Running(_));
        self.experiment.is_none() && !runs(&self.target())
    }

    /// The specs to run. Without names, those that can be asked of what is served; those of a user's own
    /// folder were written for it.
    fn specs(&self, catalogue: &Catalogue) -> Vec<String> {
        let named = !self.specs.is_empty() || !self.mutant.is_empty() || catalogue.own.is_some();
        if named || self.is_of_the_specs() {
            return self.specs.clone();
        }
        let all = catalogue.specs.values();
        let any = all.filter(|spec| spec.body.any_experiment);
        any.map(|spec| spec.name.clone()).collect()
    }

    fn has_own_command(&self) -> bool {
        matches!(self.experiment, Some(ExperimentName::Command(_)))
    }

    fn check(&self) -> Result<(), String> {
        check_server(
            self.experiment.as_ref(),
            self.target.iter().chain(&self.against),
        )
    }
}

/// A server is started by its own command, or by gymcheck, or it runs already.
pub(super) fn check_server<'a>(
    experiment: Option<&ExperimentName>,
    mut targets: impl Iterator<Item = &'a TargetName>,
) -> Result<(), String> {
    let is_running = |target: &TargetName| matches!(target, TargetName::Running(_));
    match experiment {
        Some(ExperimentName::Command(_)) if targets.next().is_some() => Err(
            "a command line given with --experiment starts its own server: name no target beside it"
                .to_owned(),
        ),
        Some(_) if targets.any(is_running) => Err(
            "a server that already runs serves its own experiment: leave out --experiment".to_owned(),
        ),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn run(arguments: &RunArguments, loudness: Loudness) -> Outcome {
    arguments.check()?;
    // The runs notice the signal by themselves, and end what they started.
    on_signal(|_| {})?;
    let catalogue = arguments.own.catalogue()?;
    let items = Selection {
        specs: &arguments.specs(&catalogue),
        pairs: arguments.pairs.as_deref(),
        repairs: &arguments.repair,
        mutants: &arguments.mutant,
        repeat: arguments.repeat,
        against: arguments.against.is_some(),
        pinned: [
            is_pinned(&arguments.target()) && !arguments.has_own_command(),
            arguments.against.as_ref().is_some_and(is_pinned),
        ],
    }
    .items(&catalogue)?;
    if items.is_empty() {
        return Err("nothing to run: none of these mutants belongs to one of these specs".into());
    }
    let (items, shard) = match arguments.shard {
        Some(shard) => {
            let earlier = arguments.durations.as_deref().map(read_results);
            let earlier = earlier
                .transpose()?
                .map_or_else(Vec::new, |earlier| earlier.runs);
            let (items, record) = shard.part(items, &earlier)?;
            (items, Some(record))
        }
        None => (items, None),
    };
    own_ground::tell(arguments, items.len(), loudness)?;
    let cdn = arguments.assets.cdn()?;
    let grid = arguments.grid.grid();
    let out = match &arguments.out {
        Some(out) => OutFolder::take(out)?,
        None => OutFolder::take_or_beside(Path::new(OUT))?,
    };
    let prepare = |target: &TargetName, runs: &str| {
        Invocation::prepare(Wanted {
            catalogue: &catalogue,
            target: target.clone(),
            experiment: arguments.experiment.clone(),
            without: arguments.assets.without.clone(),
            cdn: cdn.clone(),
            browsers: browsers_of(items.iter().map(|item| item.pair)),
            grid: grid.clone(),
            out: out.path().to_owned(),
            runs: runs.into(),
            retries: arguments.retry_broken,
            headed: arguments.headed,
            keep: arguments.keep,
        })
    };
    let mut sides = vec![prepare(&arguments.target(), RUNS)?];
    if let Some(against) = &arguments.against {
        let mut against = prepare(against, AGAINST)?;
        against.tell_apart_from(&sides[0]);
        sides.push(against);
    }
    for item in items.iter().filter(|item| item.repetition == 1) {
        side_of(&sides, item).check_edits(&item.repairs, item.mutant)?;
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let experiments: Vec<_> = items
        .iter()
        .map(|item| &item.scenario.body.experiment)
        .collect();
    for side in &mut sides {
        runtime.block_on(side.look(&experiments))?;
    }
    out.make_room()?;
    let out = out.path();
    let progress = Progress::new(Some(items.len()), loudness);
    if let Some(shard) = &shard {
        let all: usize = shard.plan.iter().map(Vec::len).sum();
        progress.line(&format!("shard {shard}: {} of {all} runs", items.len()));
    }
    let slots = grid.as_ref().map(|grid| {
        progress.line(&told_of(grid));
        let browsers = browsers_of(items.iter().map(|item| item.pair));
        runtime.block_on(grid.runs_at_once(&browsers))
    });
    let slots = slots.transpose().map_err(PrepareError::Grid)?;
    for side in &mut sides {
        runtime.block_on(side.compile(|says| progress.line(says)));
    }
    let alone = sides.iter().any(Invocation::takes_one_run_at_a_time);
    let jobs = match alone {
        true => 1,
        false => arguments.jobs.unwrap_or_else(default_jobs),
    };
    let (begun, line) = match slots.flatten() {
        _ if alone => (1, 0),
        // What a grid has no slots for would only wait there.
        Some(slots) if slots < jobs => (slots, 0),
        Some(_) | None => (jobs, IN_LINE),
    };
    let begun = usize::from(begun) + line;
    if arguments.jobs.is_some() {
        sides
            .iter_mut()
            .for_each(|side| side.carry_out_at_once(jobs));
    }
    let measuring = Measuring::begin(jobs.into());
    let carried_out = carry_out_all(&sides, &items, shard.as_ref(), begun, &progress, out);
    let mut results = runtime.block_on(carried_out);
    results.effort = Some(measuring.end());
    if names_all(&arguments.mutant) {
        results.equivalents = equivalents(&catalogue);
    }
    results.repeated = repeated_with_partings(&results.runs, out);
    results.explain(&catalogue);
    let reports = write_reports(&results, out);
    // First all that is still to be said of the runs.
    drop(progress);
    tell_all(&results, reports, out, loudness)?;
    Ok(results.exit_status())
}

/// What is said of a grid beforehand.
fn told_of(grid: &Grid) -> String {
    format!(
        "the browsers are the grid's at {}: `kill` ends a session, `freeze` and `cut-network` are not applicable, \
         kernels are not asked; a page that comes to another machine is no secure context there",
        grid.endpoint
    )
}

fn is_pinned(target: &TargetName) -> bool {
    *target == TargetName::Release(PINNED_RELEASE)
}

/// Carries out the runs, so many begun at once, and puts their results together in the order of the
/// items.
async fn carry_out_all(
    sides: &[Invocation],
    items: &[Item<'_>],
    shard: Option<&ShardRecord>,
    begun: usize,
    progress: &Progress,
    out: &Path,
) -> Results {
    let runs = futures_util::stream::iter(items.iter().enumerate())
        .map(|(index, item)| carry_out(sides, index, item, progress, out))
        .buffer_unordered(begun);
    let mut finished: Vec<Option<Vec<RunRecord>>> = vec![None; items.len()];
    let mut kept = Instant::now();
    futures_util::pin_mut!(runs);
    while let Some((index, records)) = runs.next().await {
        finished[index] = records;
        // Whoever kills this call finds what it had. To write it with each of many short runs would
        // take longer and longer.
        if kept.elapsed() > BETWEEN_KEEPING {
            let so_far = put_together(sides, items, shard, &finished);
            if let Err(error) = write_results(&so_far, out) {
                progress.line(&error.to_string());
            }
            kept = Instant::now();
        }
    }
    let mut results = put_together(sides, items, shard, &finished);
    results.unfinished |= was_interrupted().await;
    results
}

/// How often results are written while runs go on, at most.
pub(super) const BETWEEN_KEEPING: Duration = Duration::from_secs(1);

/// Carries out one run; nothing, if the call was interrupted before it, or if its evidence cannot
/// be written.
async fn carry_out(
    sides: &[Invocation],
    index: usize,
    item: &Item<'_>,
    progress: &Progress,
    out: &Path,
) -> (usize, Option<Vec<RunRecord>>) {
    if was_interrupted().await {
        return (index, None);
    }
    let invocation = side_of(sides, item);
    let run = progress.begin(index + 1, &title(item, invocation, sides.len() > 1));
    match invocation.run(item, |step| run.step(step)).await {
        Ok(records) => {
            run.end(records.as_deref().unwrap_or_default());
            (index, records)
        }
        Err(error) => {
            progress.line(&cannot_write_evidence(out, &error));
            (index, None)
        }
    }
}

pub(super) fn cannot_write_evidence(out: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot write evidence below {}: {error}; make room there, or give another folder with --out",
        out.display()
    )
}

/// The results of the runs that are finished.
fn put_together(
    sides: &[Invocation],
    items: &[Item<'_>],
    shard: Option<&ShardRecord>,
    finished: &[Option<Vec<RunRecord>>],
) -> Results {
    let mut results = Results::new(sides.iter().map(|side| side.target().clone()).collect());
    results.shard = shard.cloned();
    for (index, (item, records)) in items.iter().zip(finished).enumerate() {
        let Some(records) = records else { continue };
        if let (Some(mutant), Some(base)) = (item.mutant, base_of(items, finished, index)) {
            results.mutants.push(fate_of(mutant, base, records));
        }
        if item.side == Side::Against {
            results.compare(measures_of(items, finished, index), records);
        }
        results.runs.extend(records.iter().cloned());
    }
    results.unfinished = finished.iter().any(Option::is_none);
    results.defects = defects(&results.runs, &results.targets);
    results.repeated = repeated(&results.runs);
    results
}

fn side_of<'a>(sides: &'a [Invocation], item: &Item<'_>) -> &'a Invocation {
    match item.side {
        Side::Target => &sides[0],
        Side::Against => &sides[1],
    }
}

fn title(item: &Item<'_>, invocation: &Invocation, with_target: bool) -> String {
    match with_target {
        true => format!("{} on {}", item.title(), invocation.target().name),
        false => item.title(),
    }
}

pub(super) async fn was_interrupted() -> bool {
    tokio::select! {
        biased;
        _ = interrupted() => true,
        () = std::future::ready(()) => false,
    }
}
