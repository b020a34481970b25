//! One run: its checks, its timeline, its pictures and logs.

use std::path::Path;

use maud::{Markup, html};
use serde::Serialize;

use super::answer::{badge, command};
use super::pictures::{Pictures, seconds};
use super::{answer, interest, logs, spent};
use crate::evidence::{Event, Fact, Log, LogError, PageFact};
use crate::report::results::Results;
use crate::report::timeline::{Timeline, event_of, when};
use crate::run::RunRecord;
use crate::verdict::{CheckResult, OracleFinding, Says, Stimulus, Verdict};

/// What the page unpacks when a run is opened.
#[derive(Serialize)]
pub(super) struct Details {
    html: String,
    timeline: Option<Timeline>,
}

/// The line of a run that is closed.
pub(super) fn summary(record: &RunRecord) -> Markup {
    html! {
        summary {
            (badge(record.verdict)) " "
            @if record.verdict != record.expected && record.mutant.is_none() {
                span.badge.loud { "expected " (record.expected) } " "
            }
            span.spec { (record.spec) } " " span.pair { (record.pair) }
            @if let Some(mutant) = &record.mutant { " " span.mutant { "with the mutant " (mutant) } }
            @if !record.repairs.is_empty() {
                " " span.repairs title=(record.repairs.join(", ")) {
                    (record.repairs.len()) " repairs"
                }
            }
            @if record.repetition > 1 { " time " (record.repetition) }
            " " span.seconds { (record.target) ", " (format!("{:.1}", record.seconds)) " s" }
        }
    }
}

/// What the filter looks into.
pub(super) fn search_text(record: &RunRecord) -> String {
    let checks = record.checks.iter();
    let checks = checks.map(|check| format!("{} {}", check.requirement, check.check));
    let words = [&record.spec, &record.pair, &record.target, &record.title];
    let words = words
        .into_iter()
        .chain(&record.mutant)
        .chain(&record.repairs);
    let words: Vec<String> = words.cloned().chain(checks).collect();
    words.join(" ").to_lowercase()
}

pub(super) fn details(
    results: &Results,
    record: &RunRecord,
    log: &Result<Log, LogError>,
    folder: &Path,
    pictures: &mut Pictures,
) -> Details {
    let body = match log {
        Ok(log) => {
            let failure = failure(record, log);
            html! {
                (head(record, results))
                (on_grid(log))
                (checks(record, results, Some(log)))
                h3 { "What happened" }
                div.timeline data-failure=[failure] {}
                (spent::of_run(&record.profile))
                h3 { "What was seen" }
                (pictures.of_run(interest(results, record), log, folder))
                h3 { "What was said" }
                (logs::of_run(log, folder, failure))
            }
        }
        Err(error) => html! {
            (head(record, results))
            (checks(record, results, None))
            p.hint { "Its evidence cannot be shown: " (error) }
        },
    };
    Details {
        html: body.into_string(),
        timeline: log
            .as_ref()
            .ok()
            .map(|log| Timeline::new(log, &record.checks)),
    }
}

fn head(record: &RunRecord, results: &Results) -> Markup {
    html! {
        p.title { (record.title) }
        @if let Some(broken) = &record.broken {
            p.trouble { "Broken (" (broken.component) "): " (broken.reason) }
            @if !broken.last_lines.is_empty() { pre { (broken.last_lines.join("\n")) } }
        }
        @if let Some(missed) = &record.missed {
            p.trouble { "The run ended early at " (missed) }
            @if !record.last_words.is_empty() { pre { (record.last_words.join("\n")) } }
        }
        @if record.attempts > 1 {
            p.trouble { "Carried out " (record.attempts) " times; before that it was broken: "
                @for one in &record.broken_attempts { (one.reason) " " } }
        }
        p { "To run it again: " (command(&record.again(&results.targets))) }
        p.hint { "Its folder: " code { (record.folder.display()) } }
    }
}

/// Where a grid had the browsers, and what they gave to pages that came from another machine.
fn on_grid(log: &Log) -> Markup {
    let sessions = log.events().iter().filter_map(|event| match &event.fact {
        Fact::Session(session) => Some((event.player.as_deref()?, session)),
        _ => None,
    });
    let is_insecure = |player: &str| {
        let insecure = |event: &Event| {
            matches!(&event.fact, Fact::Page(page)
                if matches!(page.what, PageFact::Hello { secure: false, .. }))
        };
        log.of(player).any(insecure)
    };
    html! {
        @for (player, session) in sessions {
            p.hint {
                (player) ": " (session.browser) " " (session.version) " of the grid " (session.endpoint)
                ", at the node " (session.node)
                @if is_insecure(player) { "; its page was no secure context" }
            }
        }
    }
}

/// When it went wrong, if it did: at the last event that speaks against the target.
fn failure(record: &RunRecord, log: &Log) -> Option<f64> {
    if let Some((event, _)) = log.broken() {
        return Some(event.t);
    }
    if let Some((event, _)) = log.missed() {
        return Some(event.t);
    }
    let failed = |check: &&CheckResult| check.verdict == Verdict::Fail;
    let surprising = answer::surprises(record).find(failed);
    let check = surprising.or_else(|| record.checks.iter().find(failed))?;
    let violated = check
        .oracles
        .iter()
        .filter(|one| one.says == Says::Violated);
    let events = violated.flat_map(|one| &one.evidence);
    let times = events.filter_map(|seq| event_of(log, *seq)).map(when);
    times.reduce(f64::min)
}

fn checks(record: &RunRecord, results: &Results, log: Option<&Log>) -> Markup {
    html! {
        h3 { "What was asked" }
        @for check in by_weight(&record.checks) {
            div class={ "check " (answer::class(check.verdict)) } {
                button type="button" class="show"
                    data-events=(numbers(crate::report::timeline::evidence_of(check))) {
                    (badge(check.verdict)) " " (check.requirement) " " code { (check.check) }
                }
                @if check.expected != Verdict::Pass || check.verdict != check.expected {
                    span.expected { " expected " (check.expected) }
                }
                p { (check.account) }
                @if check.verdict != Verdict::Pass
                    && let Some(holds) = results.requirements.get(&check.requirement) {
                    p.holds { "Must hold: " (holds) }
                }
                @if let Some(known) = &check.known { p.holds { "Known: " (known) } }
                ul {
                    @for one in &check.stimuli { (stimulus(one, log)) }
                    @for one in &check.oracles { (oracle(one, log)) }
                }
            }
        }
    }
}

/// What does not pass first.
fn by_weight(checks: &[CheckResult]) -> Vec<&CheckResult> {
    let mut checks: Vec<&CheckResult> = checks.iter().collect();
    checks.sort_by_key(|check| match check.verdict {
        Verdict::Fail => 0,
        Verdict::Broken | Verdict::Vacuous | Verdict::Unstable => 1,
        Verdict::Pass | Verdict::NotApplicable => 2,
    });
    checks
}

fn stimulus(one: &Stimulus, log: Option<&Log>) -> Markup {
    html! {
        li.stimulus {
            span.says { @if one.seen { "stimulus seen" } @else { "stimulus not seen" } }
            " " (one.what)
            @if let Some(why) = &one.not_given { " (" (why) ")" }
            (evidence(&one.evidence, log))
        }
    }
}

fn oracle(one: &OracleFinding, log: Option<&Log>) -> Markup {
    let (class, says) = match one.says {
        Says::Holds => ("holds-true", "holds"),
        Says::Violated => ("violated", "violated"),
        Says::Absent => ("absent", "could not be asked"),
    };
    html! {
        li class=(class) {
            span.says { (one.oracle) ": " (says) } " – " (one.account)
            (evidence(&one.evidence, log))
        }
    }
}

/// A button that lights up the events, with the time of the first.
fn evidence(events: &[u64], log: Option<&Log>) -> Markup {
    let first = events
        .iter()
        .filter_map(|seq| event_of(log?, *seq))
        .map(when);
    html! {
        @if let Some(first) = first.reduce(f64::min) {
            " " button type="button" class="show" data-events=(numbers(events.iter().copied())) {
                "at " (seconds(first))
                @if events.len() > 1 { ", " (events.len()) " events" }
            }
        }
    }
}

fn numbers(events: impl Iterator<Item = u64>) -> String {
    let mut events: Vec<u64> = events.collect();
    events.sort_unstable();
    events.dedup();
    let events: Vec<String> = events.iter().map(u64::to_string).collect();
    events.join(" ")
}
