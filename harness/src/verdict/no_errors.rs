//! `no-errors` (IDEM-01): did neither a page nor the target have an error that nobody caught?

use super::facts::{SURVIVOR, seq};
use super::games::barrier_after;
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Fact, Log, PageFact, Source};
use crate::spec::{ExitPath, Experiment};

/// How many errors an account names; the evidence has them all.
const NAMED: usize = 3;

/// Asks about the whole run, in which these paths were taken in this order.
pub(super) fn ask(paths: &[ExitPath], experiment: &Experiment, log: &Log) -> Findings {
    let mut stimuli = Vec::new();
    let mut from = 0;
    for path in paths {
        let taken = log.taken(SURVIVOR, *path, experiment, from);
        stimuli.push(Stimulus::new(
            match stimuli.is_empty() {
                true => format!("the survivor: {path}"),
                false => format!("then {path}"),
            },
            seq(taken),
        ));
        from = taken.map_or(u64::MAX, |event| event.seq);
    }
    stimuli.push(Stimulus::new(
        "a barrier after that",
        seq(barrier_after(log, from)),
    ));
    Findings {
        stimuli,
        oracles: vec![pages(log), target(log)],
    }
}

/// Both players' pages: no uncaught error, no rejected promise that nobody handled.
fn pages(log: &Log) -> OracleFinding {
    let mut watched = 0;
    let mut evidence = Vec::new();
    let mut errors = Vec::new();
    for event in log.events() {
        let Fact::Page(page) = &event.fact else {
            continue;
        };
        let (what, message, stack) = match &page.what {
            PageFact::Hello { .. } => {
                watched += 1;
                continue;
            }
            PageFact::Error { message, stack } => ("an uncaught error", message, stack),
            PageFact::Rejection { message, stack } => ("a rejected promise", message, stack),
            _ => continue,
        };
        evidence.push(event.seq);
        errors.push(format!(
            "{what} in the {}'s page, {:.1} s after the run's begin: {message}, {}",
            event.player.as_deref().unwrap_or("unknown player"),
            page.page_t / 1000.0,
            stack.lines().next().unwrap_or("at an unknown place"),
        ));
    }
    if watched == 0 {
        return OracleFinding::absent("pages", "no page was watched");
    }
    OracleFinding::from_violations(
        "pages",
        few(errors),
        format!("no uncaught error and no rejected promise in {watched} pages"),
        evidence,
    )
}

/// The target: no handler of an event raised an error, and its log shows none.
fn target(log: &Log) -> OracleFinding {
    let mut handled = 0;
    let mut evidence = Vec::new();
    let mut errors = Vec::new();
    let mut traced = 0;
    for event in log.events() {
        match &event.fact {
            Fact::ServerHandled(done) => {
                handled += 1;
                if let Some(error) = &done.error {
                    evidence.push(event.seq);
                    errors.push(format!(
                        "its handler of `{}` raised {error}, {:.1} s after the run's begin",
                        done.event,
                        event.t / 1000.0
                    ));
                }
            }
            Fact::ServerLog { line } if line.contains("Traceback (most recent call last)") => {
                evidence.push(event.seq);
                traced += 1;
            }
            _ => {}
        }
    }
    if handled == 0 {
        let why = log.lacks(Source::Handlers);
        return OracleFinding::absent(
            "target",
            why.unwrap_or("it was not seen to handle anything"),
        );
    }
    if traced > 0 {
        errors.push(format!("its log has {traced} tracebacks"));
    }
    if let (true, Some(why)) = (errors.is_empty(), log.lacks(Source::Log)) {
        return OracleFinding::absent("target", why);
    }
    OracleFinding::from_violations(
        "target",
        few(errors),
        format!("it handled {handled} events without an error"),
        evidence,
    )
}

/// The first of many, and how many more there are.
fn few(mut errors: Vec<String>) -> Vec<String> {
    if errors.len() > NAMED {
        let more = errors.len() - NAMED;
        errors.truncate(NAMED);
        errors.push(format!("and {more} more"));
    }
    errors
}
