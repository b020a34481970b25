//! Moving the partner's departure over the life of a session.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gymcheck::evidence::{EVIDENCE, Log};
use gymcheck::report::{
    Loudness, OutFolder, Progress, RUNS, Results, print_reports, print_sweep, read_results,
    write_reports, write_results,
};
use gymcheck::run::sweep::{
    Plan, Point, Role, Sample, Scene, Session, SweepRecord, Track, Window, file_name, pinned_text,
    spec_text, undisturbed_name, undisturbed_text, windows,
};
use gymcheck::run::{
    Invocation, Item, MOST_RETRIES, Measuring, RunRecord, Side, Wanted, browsers_of, default_jobs,
    find_root, flags_of, select_repairs,
};
use gymcheck::spec::{Catalogue, Pair, Repair, Spec, SpecError, WayToLeave, each_once};
use gymcheck::stage::on_signal;
use gymcheck::target::{ExperimentName, PINNED_RELEASE, TargetFacts, TargetName};
use gymcheck::verdict::Verdict;

use super::assets::PageAssets;
use super::run::{
    BETWEEN_KEEPING, cannot_write_evidence, check_server, parse_experiment, parse_pair,
    was_interrupted,
};
use super::{Outcome, parse_target, parse_time};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck sweep
      the partner's death, at 24 instants of a session and closer where a verdict changes
  gymcheck sweep --repair all
      the same on a release whose known defects are mended: no window should be left
  gymcheck sweep --leave kill,reload --roles behind,abreast --budget 2h
      two ways of leaving, each in two roles, for two hours at most
  gymcheck sweep --continue --budget 1h
      goes on where the sweep in --out ended, for another hour

A sweep plays one session in which nobody leaves, and takes from its evidence what the survivor meets
and when. Each further run moves the departure to another instant: first evenly, and at the beginning of
each phase; then closer where a verdict changes, until each edge rests on five runs on either side. At
each instant the same must hold: a survivor in an active game is told and stays; anywhere else it sees
nothing and can go on; in the end nothing of a game is open or alive.

In --out are the chart (report.html), the evidence of each run, a spec for each instant (specs/), and
for each window of failure one spec that pins it (found/), for `gymcheck run --specs DIR/found`.

Exit status: 0 where no instant fails, 1 where one fails or proves nothing, 2 for a mistake in the call,
3 where runs could not be carried out.";

/// Where a sweep's results go, unless the call says otherwise.
const OUT: &str = "target/gymcheck-sweep";

/// The folder of the instants' specs, below `--out`.
const SPECS: &str = "specs";
/// The folder of the specs that pin what was found.
const FOUND: &str = "found";
/// The concern of both.
const CONCERN: &str = "sweep";

/// How many games a session has.
const GAMES: u32 = 2;

/// What is asked at each instant, the more important first.
const CHECKS: [&str; 2] = ["sound-after-departure", "nothing-left"];

#[derive(Args)]
pub(super) struct SweepArguments {
    /// What is tested: a release, or the path of a checkout [default: mug@0.1.3]
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    target: Option<TargetName>,
    /// What it serves instead of `duet`: the name of another experiment of this project, a folder with an
    /// experiment.py, or a command line that starts a server ({port} stands for the port)
    #[arg(long, value_name = "EXPERIMENT", value_parser = parse_experiment)]
    experiment: Option<ExperimentName>,
    #[command(flatten)]
    assets: PageAssets,
    /// How the partner leaves: kill, close-tab, quit, navigate, reload, freeze, stall, cut-network.
    /// What only the target's time-outs notice (the last three) takes a minute or more for each instant
    #[arg(long, value_delimiter = ',', default_value = "kill", value_name = "WAY", value_parser = parse_way)]
    leave: Vec<WayToLeave>,
    /// Where the partner stands: `behind` (it is the slower one, and the target still holds its game),
    /// `abreast` (nothing is held), `first` or `second` (who comes to the waiting room first)
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "behind",
        value_name = "ROLE"
    )]
    roles: Vec<Role>,
    /// Pairs of browsers, survivor first
    #[arg(long, value_delimiter = ',', default_value = "chrome+chrome", value_name = "PAIR", value_parser = parse_pair)]
    pairs: Vec<Pair>,
    /// Apply these repairs of known defects of the release (`all` for all of them)
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    repair: Vec<String>,
    /// How many instants of a session are looked at first; each phase has at least one
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    instants: u16,
    /// How long the sweep may take, as 90s, 30m or 2h: no run begins that would end later
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = parse_time)]
    budget: Duration,
    /// Go on with the sweep in --out. What it was about stays (give the same --target, --experiment, --without
    /// and --assets); --budget and --jobs are those of this call
    #[arg(long = "continue")]
    goes_on: bool,
    /// Carry out this many runs at once, those of other calls included; by default two for each processor, if
    /// the memory that is free allows it, and one where gymcheck may not say which goes first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Where the chart and the reports go, and the evidence of the runs
    #[arg(long, default_value = OUT, value_name = "DIR")]
    out: PathBuf,
}

fn parse_way(text: &str) -> Result<WayToLeave, String> {
    text.parse()
}

pub(super) fn sweep(arguments: &SweepArguments, loudness: Loudness) -> Outcome {
    check_server(arguments.experiment.as_ref(), arguments.target.iter())?;
    on_signal(|_| {})?;
    let target = match &arguments.target {
        Some(TargetName::Running(address)) => {
            return Err(format!(
                "a sweep plays a server that it starts itself, many times over; {address} already runs: \
                 give a release, a checkout, or --experiment with the command that starts it"
            )
            .into());
        }
        Some(target) => target.clone(),
        None => TargetName::Release(PINNED_RELEASE),
    };
    let (mut results, record) = match arguments.goes_on {
        true => earlier(&arguments.out)?,
        false => (Results::new(Vec::new()), new_record(arguments)),
    };
    select_repairs(&Catalogue::read(&find_root())?, &[], &record.repairs)?;
    let out = OutFolder::take(&arguments.out)?;
    if !arguments.goes_on {
        clear(&out)?;
    }
    let specs = arguments.out.join(SPECS);
    std::fs::create_dir_all(specs.join(CONCERN))?;
    let catalogue = Catalogue::read_with(&find_root(), Some(&specs))?;
    let pairs = record.tracks.iter().map(|track| track.pair);
    let mut invocation = Invocation::prepare(Wanted {
        catalogue: &catalogue,
        target,
        experiment: arguments.experiment.clone(),
        without: arguments.assets.without.clone(),
        cdn: arguments.assets.cdn()?,
        browsers: browsers_of(pairs),
        grid: None,
        out: arguments.out.clone(),
        runs: RUNS.into(),
        retries: MOST_RETRIES,
        headed: false,
        keep: false,
    })?;
    let repairs = select_repairs(&catalogue, &[], &record.repairs)?;
    invocation.check_edits(&repairs, None)?;
    if let Some(earlier) = results.targets.first() {
        is_about_the_same(earlier, invocation.target(), &arguments.out)?;
    }
    results.targets = vec![invocation.target().clone()];
    let runtime = tokio::runtime::Runtime::new()?;
    let first = experiment_of(&catalogue, &specs, &record)?;
    runtime.block_on(invocation.look(&[&first.body.experiment]))?;
    let jobs = match invocation.takes_one_run_at_a_time() {
        true => 1,
        false => arguments.jobs.unwrap_or_else(default_jobs),
    };
    if arguments.jobs.is_some() {
        invocation.carry_out_at_once(jobs);
    }
    let progress = Progress::new(None, loudness);
    runtime.block_on(invocation.compile(|says| progress.line(says)));
    let ground = Ground {
        invocation: &invocation,
        catalogue: &catalogue,
        repairs: &repairs,
        out: &arguments.out,
        progress: &progress,
        jobs: jobs.into(),
        budget: arguments.budget,
    };
    let mut sweep = Sweep::new(ground, record, results);
    let measuring = Measuring::begin(jobs.into());
    runtime.block_on(sweep.carry_out())?;
    let mut results = sweep.into_results();
    results.effort = Some(measuring.end());
    results.explain(&catalogue);
    let reports = write_reports(&results, &arguments.out);
    // First all that is still to be said of the runs.
    drop(progress);
    // What was found stands, whether it can be written or not.
    print_sweep(&results, &arguments.out, loudness);
    print_reports(&reports?);
    Ok(results.exit_status())
}

/// Removes what an earlier sweep left.
fn clear(out: &OutFolder) -> Result<(), Box<dyn std::error::Error>> {
    let is_ours = read_results(out.path()).is_ok_and(|results| results.sweep.is_some());
    out.make_room()?;
    for folder in [SPECS, FOUND].map(|name| out.path().join(name)) {
        if is_ours && folder.is_dir() {
            std::fs::remove_dir_all(folder)?;
        }
    }
    Ok(())
}

/// The sweep that is to be continued.
fn earlier(out: &Path) -> Result<(Results, SweepRecord), Box<dyn std::error::Error>> {
    let nothing = || {
        format!(
            "there is no sweep in {} that could be continued; leave out --continue, or give its folder with \
             --out",
            out.display()
        )
    };
    if !out.is_dir() {
        return Err(nothing().into());
    }
    let mut results = read_results(out)?;
    let record = results.sweep.take().ok_or_else(nothing)?;
    Ok((results, record))
}

/// A sweep goes on with what it was about: its runs are compared with each other.
fn is_about_the_same(
    earlier: &TargetFacts,
    now: &TargetFacts,
    out: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let out = out.display();
    let (before, after) = (flags_of(earlier), flags_of(now));
    if earlier.name != now.name {
        let (earlier, now) = (&earlier.name, &now.name);
        let what = format!("the sweep in {out} is of {earlier}, not of {now}");
        return Err(format!("{what}: give its target, or another --out").into());
    }
    if before != after {
        let (before, after) = (before.trim(), after.trim());
        let what = format!("the sweep in {out} is one with `{before}`, not with `{after}`");
        return Err(format!("{what}: give the same, or another --out").into());
    }
    Ok(())
}

fn new_record(arguments: &SweepArguments) -> SweepRecord {
    let mut tracks = Vec::new();
    for pair in each_once(&arguments.pairs) {
        for how in each_once(&arguments.leave) {
            for role in each_once(&arguments.roles) {
                tracks.push(Track::new(how, role, pair));
            }
        }
    }
    SweepRecord {
        instants: arguments.instants.into(),
        repairs: arguments.repair.clone(),
        tracks,
        unfinished: None,
    }
}

/// Any spec of the sweep: all are about the same experiment.
fn experiment_of(
    catalogue: &Catalogue,
    specs: &Path,
    record: &SweepRecord,
) -> Result<Spec, Box<dyn std::error::Error>> {
    let track = record.tracks.first().ok_or("nothing to sweep")?;
    let scene = Scene {
        track,
        games: GAMES,
        among_pairs: record.has_several_pairs(),
    };
    written(catalogue, specs, "undisturbed", &undisturbed_text(scene))
}

/// Writes a spec into a folder, and reads it as all specs are read; the checkout's own may change meanwhile.
fn written(
    catalogue: &Catalogue,
    folder: &Path,
    name: &str,
    text: &str,
) -> Result<Spec, Box<dyn std::error::Error>> {
    let concern = folder.join(CONCERN);
    std::fs::create_dir_all(&concern)?;
    let path = concern.join(format!("{name}.toml"));
    write(&path, text)?;
    Ok(catalogue.read_one(&format!("{CONCERN}/{name}"), &path)?)
}

/// Adds the specs of a sweep's instants and of what it found, which are below the folder of its results.
pub(super) fn add_specs(catalogue: &mut Catalogue, out: &Path) -> Result<(), SpecError> {
    for folder in [SPECS, FOUND].map(|folder| out.join(folder).join(CONCERN)) {
        // Where nothing was found there is none.
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for path in files.map(|entry| entry.path()) {
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
                continue;
            };
            let name = format!("{CONCERN}/{name}");
            if !catalogue.specs.contains_key(&name) {
                let spec = catalogue.read_one(&name, &path)?;
                catalogue.specs.insert(name, spec);
            }
        }
    }
    Ok(())
}

/// Writes a file, or says which one could not be written.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(file, text).map_err(|error| {
        let advice = "make room there, or give another folder with --out";
        let what = format!("cannot write {}: {error}; {advice}", file.display());
        std::io::Error::new(error.kind(), what)
    })
}

/// What all runs of a sweep have in common.
#[derive(Clone, Copy)]
struct Ground<'a> {
    invocation: &'a Invocation,
    catalogue: &'a Catalogue,
    repairs: &'a [&'a Repair],
    out: &'a Path,
    progress: &'a Progress,
    /// How many runs are carried out at once.
    jobs: usize,
    budget: Duration,
}

/// What a run is for.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// The session in which nobody leaves.
    Undisturbed,
    /// An instant.
    Instant(Point),
}

/// A run that is to be carried out, or was.
struct Run {
    /// The number of its track.
    track: usize,
    purpose: Purpose,
    spec: Spec,
    repetition: u32,
    /// Its place among the runs of this call, from 1.
    number: usize,
}

impl Ground<'_> {
    /// Carries a run out. No record, if the call was interrupted before, or the evidence cannot be written.
    async fn carry_out(self, run: Run, pair: Pair) -> (Run, Option<RunRecord>) {
        let item = Item {
            scenario: &run.spec,
            specs: vec![&run.spec],
            pair,
            repairs: self.repairs.to_vec(),
            mutant: None,
            repetition: run.repetition,
            side: Side::Target,
        };
        let progress = self.progress.begin(run.number, &item.title());
        let carried_out = self.invocation.run(&item, |step| progress.step(step)).await;
        let record = match carried_out {
            Ok(records) => {
                let mut records = records.unwrap_or_default();
                progress.end(&records);
                records.pop()
            }
            Err(error) => {
                self.progress.line(&cannot_write_evidence(self.out, &error));
                None
            }
        };
        (run, record)
    }
}

/// A sweep in progress.
struct Sweep<'a> {
    ground: Ground<'a>,
    began: Instant,
    record: SweepRecord,
    results: Results,
    /// How often each spec was carried out on each pair.
    times: BTreeMap<(String, Pair), u32>,
    /// How many runs this call has begun.
    number: usize,
    /// When the results were written last.
    kept: Instant,
}

impl<'a> Sweep<'a> {
    fn new(ground: Ground<'a>, record: SweepRecord, results: Results) -> Sweep<'a> {
        let mut times = BTreeMap::new();
        for run in &results.runs {
            if let Ok(pair) = run.pair.parse() {
                let time: &mut u32 = times.entry((run.spec.clone(), pair)).or_default();
                *time = run.repetition.max(*time);
            }
        }
        Sweep {
            ground,
            began: Instant::now(),
            record,
            results,
            times,
            number: 0,
            kept: Instant::now(),
        }
    }

    fn into_results(self) -> Results {
        let plan = self.plan();
        let mut tracks = self.record.tracks.iter();
        let first_is_done = tracks.all(|track| plan.first_left(track) == 0);
        let mut results = self.results;
        results.unfinished = self.record.unfinished.is_some() && !first_is_done;
        results.sweep = Some(self.record);
        results
    }

    async fn carry_out(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        self.say_plan();
        let stopped = self.move_over_the_sessions().await?;
        let unseen = self.record.tracks.iter().any(|one| one.session.is_none());
        self.record.unfinished = stopped.or_else(|| {
            let why = "a session in which nobody leaves could not be played to its end";
            unseen.then(|| why.to_owned())
        });
        for track in &mut self.record.tracks {
            let found = CHECKS.iter().flat_map(|check| windows(track, check));
            track.windows = found.collect();
        }
        self.pin_all().await
    }

    /// Carries out what is worth its time, until there is nothing more, or no time. Says why it stopped, if
    /// there was more.
    async fn move_over_the_sessions(
        &mut self,
    ) -> Result<Option<String>, Box<dyn std::error::Error>> {
        let ground = self.ground;
        let mut under_way = FuturesUnordered::new();
        let mut pending: Vec<(usize, Point)> = Vec::new();
        let mut unseen = self.without_session();
        let mut has_said_cost = false;
        let mut stopped = None;
        loop {
            while stopped.is_none() && under_way.len() < ground.jobs {
                if was_interrupted().await {
                    stopped = Some("it was broken off".to_owned());
                    break;
                }
                let next = unseen.pop().map(|track| (track, Purpose::Undisturbed));
                let Some((track, purpose)) = next.or_else(|| self.next(&pending)) else {
                    break;
                };
                if !self.fits(track) {
                    let budget = humantime::format_duration(ground.budget);
                    stopped = Some(format!("its budget of {budget} was used up"));
                    break;
                }
                if let Purpose::Instant(point) = purpose {
                    pending.push((track, point));
                }
                let run = self.prepare(track, purpose)?;
                under_way.push(ground.carry_out(run, self.record.tracks[track].pair));
            }
            let Some((run, record)) = under_way.next().await else {
                return Ok(stopped);
            };
            if let Purpose::Instant(point) = run.purpose {
                let place = pending.iter().position(|one| *one == (run.track, point));
                place.map(|place| pending.swap_remove(place));
            }
            if let Some(record) = record {
                self.take(run, record)?;
            }
            if !has_said_cost && self.without_session().is_empty() {
                has_said_cost = true;
                self.say_cost();
            }
            self.keep();
        }
    }

    /// The tracks whose undisturbed session was not played yet, the first one last.
    fn without_session(&self) -> Vec<usize> {
        let tracks = self.record.tracks.iter().enumerate().rev();
        let without = tracks.filter(|(_, track)| track.session.is_none());
        without.map(|(index, _)| index).collect()
    }

    fn plan(&self) -> Plan<'static> {
        Plan {
            checks: &CHECKS,
            instants: self.record.instants,
        }
    }

    /// The next instant; the track that was looked at least goes first.
    fn next(&self, pending: &[(usize, Point)]) -> Option<(usize, Purpose)> {
        let of = |index: usize| pending.iter().filter(move |(track, _)| *track == index);
        let tracks = &self.record.tracks;
        let mut order: Vec<usize> = (0..tracks.len()).collect();
        order.sort_by_key(|index| tracks[*index].samples.len() + of(*index).count());
        order.into_iter().find_map(|index| {
            let points: Vec<Point> = of(index).map(|(_, point)| *point).collect();
            let wanted = self.plan().next(&tracks[index], &points)?;
            Some((index, Purpose::Instant(wanted)))
        })
    }

    /// Whether a run of this track ends within the budget, if it takes as long as the longest one so far.
    fn fits(&self, track: usize) -> bool {
        self.began.elapsed() + self.longest_run(track) <= self.ground.budget
    }

    fn longest_run(&self, track: usize) -> Duration {
        let seconds = self.record.tracks[track].longest_run(&self.results.runs);
        Duration::from_secs_f64(seconds)
    }

    fn say_plan(&self) {
        let tracks: Vec<String> = self.record.tracks.iter().map(Track::to_string).collect();
        let ground = self.ground;
        ground.progress.line(&format!(
            "sweep of {}: {}; first the session in which nobody leaves, then {} instants of each, then closer \
             where a verdict changes; {} at the most, {} at once",
            ground.invocation.target().name,
            tracks.join("; "),
            self.record.instants,
            humantime::format_duration(ground.budget),
            match ground.jobs {
                1 => "one run".to_owned(),
                jobs => format!("{jobs} runs"),
            }
        ));
    }

    fn say_cost(&self) {
        let (plan, tracks) = (self.plan(), &self.record.tracks);
        let first: usize = tracks.iter().map(|track| plan.first_left(track)).sum();
        let seconds = tracks.iter().map(|track| track.run_seconds);
        let seconds = seconds.fold(1.0, f64::max) / self.ground.jobs as f64;
        let left = self.ground.budget.saturating_sub(self.began.elapsed());
        let minutes = |runs: usize| runs as f64 * seconds / 60.0;
        self.ground.progress.line(&format!(
            "the first {first} instants take about {:.0} min; each edge of a window needs 10 to 20 runs more, \
             {:.0} to {:.0} min; about {:.0} runs fit into what is left of the budget",
            minutes(first),
            minutes(10),
            minutes(20),
            left.as_secs_f64() / seconds
        ));
    }

    fn prepare(
        &mut self,
        track: usize,
        purpose: Purpose,
    ) -> Result<Run, Box<dyn std::error::Error>> {
        let scene = Scene {
            track: &self.record.tracks[track],
            games: GAMES,
            among_pairs: self.record.has_several_pairs(),
        };
        let (name, text) = match purpose {
            Purpose::Undisturbed => (undisturbed_name(scene), undisturbed_text(scene)),
            Purpose::Instant(point) => (file_name(scene, &point), spec_text(scene, &point)),
        };
        self.run_of(SPECS, track, purpose, &name, &text)
    }

    fn run_of(
        &mut self,
        folder: &str,
        track: usize,
        purpose: Purpose,
        name: &str,
        text: &str,
    ) -> Result<Run, Box<dyn std::error::Error>> {
        let folder = self.ground.out.join(folder);
        let spec = written(self.ground.catalogue, &folder, name, text)?;
        let pair = self.record.tracks[track].pair;
        let time = self.times.entry((spec.name.clone(), pair)).or_default();
        *time += 1;
        self.number += 1;
        Ok(Run {
            track,
            purpose,
            spec,
            repetition: *time,
            number: self.number,
        })
    }

    /// Takes what a run has found.
    fn take(&mut self, run: Run, record: RunRecord) -> Result<(), Box<dyn std::error::Error>> {
        let log = Log::read(&self.ground.out.join(&record.folder).join(EVIDENCE))?;
        let asked = &run.spec.body.experiment;
        let experiment = log.experiment_found(asked).unwrap_or_else(|| asked.clone());
        let track = &mut self.record.tracks[run.track];
        match run.purpose {
            Purpose::Undisturbed => {
                track.run_seconds = record.seconds;
                if record.broken.is_none() {
                    track.session = Session::of(&log, &experiment);
                }
            }
            Purpose::Instant(wanted) => {
                let (spec, checks) = (&run.spec.name, &record.checks);
                let sample = Sample::of(wanted, &log, &experiment, checks, spec, run.repetition);
                track.samples.push(sample);
            }
        }
        self.results.runs.push(record);
        Ok(())
    }

    /// Whoever kills this call finds what it had, and can continue it.
    fn keep(&mut self) {
        if self.kept.elapsed() < BETWEEN_KEEPING {
            return;
        }
        let mut so_far = self.results.clone();
        so_far.unfinished = true;
        so_far.sweep = Some(SweepRecord {
            unfinished: Some("it was broken off".to_owned()),
            ..self.record.clone()
        });
        if let Err(error) = write_results(&so_far, self.ground.out) {
            self.ground.progress.line(&error.to_string());
        }
        self.kept = Instant::now();
    }

    /// Writes for each window the smallest spec that shows it, and sees it fail, as long as there is time.
    async fn pin_all(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let mut pins = Vec::new();
        for track in 0..self.record.tracks.len() {
            for window in 0..self.record.tracks[track].windows.len() {
                pins.extend(self.pin(track, window)?);
            }
        }
        let (ground, began) = (self.ground, self.began);
        let takes = |(pin, run): (Pin, Run)| (self.longest_run(pin.track), pin, run);
        let pins: Vec<(Duration, Pin, Run)> = pins.into_iter().map(takes).collect();
        let played = pins.into_iter().map(|(takes, pin, run)| async move {
            let fits = began.elapsed() + takes <= ground.budget;
            if !fits || was_interrupted().await {
                return (pin, None);
            }
            let (_, record) = ground.carry_out(run, pin.pair).await;
            (pin, record)
        });
        let mut played = futures_util::stream::iter(played).buffer_unordered(ground.jobs);
        while let Some((pin, record)) = played.next().await {
            let fails = record.as_ref().is_some_and(|record| {
                let mut checks = record.checks.iter();
                checks.any(|one| one.check == pin.check && one.verdict == Verdict::Fail)
            });
            if !fails {
                // What was seen to fail stays as it was.
                write(&ground.out.join(&pin.file), &pin.as_it_was)?;
            }
            self.results.runs.extend(record);
            self.record.tracks[pin.track].windows[pin.window].pinned = Some(pin.file);
        }
        Ok(())
    }

    /// The smallest spec of a window, with as many games as its instant needs, and the run that is to show
    /// that it still fails.
    fn pin(
        &mut self,
        at: usize,
        window: usize,
    ) -> Result<Option<(Pin, Run)>, Box<dyn std::error::Error>> {
        let track = &self.record.tracks[at];
        let found = &track.windows[window];
        let Some(point) = middle_of(track, found) else {
            return Ok(None);
        };
        let target = &self.ground.invocation.target().name;
        let smallest = Scene {
            track,
            games: point.game.get(),
            among_pairs: self.record.has_several_pairs(),
        };
        let as_seen = Scene {
            games: GAMES,
            ..smallest
        };
        let name = format!("{}-{}", found.check, file_name(smallest, &point));
        let text = pinned_text(smallest, &point, found, target);
        let mut pin = Pin {
            track: at,
            window,
            check: found.check.clone(),
            pair: track.pair,
            as_it_was: pinned_text(as_seen, &point, found, target),
            file: String::new(),
        };
        let run = self.run_of(FOUND, at, Purpose::Instant(point), &name, &text)?;
        pin.file = format!("{FOUND}/{}.toml", run.spec.name);
        Ok(Some((pin, run)))
    }
}

/// A spec that pins a window.
struct Pin {
    track: usize,
    window: usize,
    check: String,
    pair: Pair,
    /// Its text with as many games as the sweep has played.
    as_it_was: String,
    /// Its file, below the sweep's folder.
    file: String,
}

/// What the instants of pinned specs are rounded to, in milliseconds.
const ROUND_MS: f64 = 50.0;

/// The instant of a window that is farthest from its edges, in round numbers.
fn middle_of(track: &Track, window: &Window) -> Option<Point> {
    let session = track.session.as_ref()?;
    let (first, last) = window.at_ms;
    let middle = f64::midpoint(first, last);
    let failing = track
        .samples
        .iter()
        .filter(|sample| sample.decided(&window.check) == Some(false));
    let within = failing.filter(|sample| {
        sample
            .seen(session)
            .map(|seen| session.time(&seen))
            .is_some_and(|time| (first..=last).contains(&time))
    });
    let distance = |sample: &&Sample| (session.time(&sample.wanted) - middle).abs();
    let chosen = within.min_by(|one, other| distance(one).total_cmp(&distance(other)))?;
    let mut point = chosen.wanted;
    // A narrow window may have nothing at the next round number.
    if window.width_ms >= 4.0 * ROUND_MS {
        point.offset_ms = (point.offset_ms / ROUND_MS).round() * ROUND_MS;
    }
    Some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_continued_only_with_what_it_was_about() {
        let of = |name: &str| TargetFacts {
            name: name.to_owned(),
            ..TargetFacts::of_command("python study.py")
        };
        let release = TargetFacts {
            experiment: None,
            ..of("mug@0.1.3")
        };
        let goes_on = |now: &TargetFacts| {
            let same = is_about_the_same(&release, now, Path::new("out"));
            same.map_err(|error| error.to_string())
        };
        assert_eq!(goes_on(&release), Ok(()));
        let error = goes_on(&of("mug@0.1.2")).expect_err("another target");
        assert!(
            error.contains("is of mug@0.1.3, not of mug@0.1.2"),
            "{error}"
        );
        let with = |facts: TargetFacts, flag: &str| {
            let error = goes_on(&facts).expect_err(flag);
            let said = format!("with `--target mug@0.1.3`, not with `--target mug@0.1.3 {flag}`");
            assert!(error.contains(&said), "{error}");
        };
        let volley = Some("volley".to_owned());
        with(
            TargetFacts {
                experiment: volley,
                ..release.clone()
            },
            "--experiment volley",
        );
        with(
            TargetFacts {
                without: vec!["numpy".into()],
                ..release.clone()
            },
            "--without numpy",
        );
        with(
            TargetFacts {
                from_public_hosts: true,
                ..release.clone()
            },
            "--assets cdn",
        );
    }
}
