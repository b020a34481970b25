//! On what the time went: a bar for a run, and for a call the rows of its runs.

use maud::{Markup, html};

use crate::evidence::{Profile, Span, Spent};
use crate::report::results::Results;
use crate::report::spent::{Placed, Schedule, Totals, account};

/// How wide a bar is, and how high.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 18.0;
/// Between two rows.
const GAP: f64 = 6.0;
/// From how many runs on each is one bar, without its parts.
const MANY: usize = 150;

/// The bar of a run, and what each of its parts took.
pub(super) fn of_run(profile: &Profile) -> Markup {
    let all: f64 = profile.seconds.values().sum();
    html! {
        @if all > 0.0 {
            h3 { "What its time was spent on" }
            svg.spent viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
                aria-label="What its time was spent on" {
                (spans(&profile.spans, 0.0, WIDTH / (all * 1000.0), 0.0))
            }
            ul.legend {
                @for (on, seconds) in &profile.seconds {
                    li { span.colour.(class(*on)) {} (on.name()) " " (format!("{seconds:.1}")) " s" }
                }
            }
            p.hint { "Of " (format!("{all:.1}")) " s, " (format!("{:.1}", profile.own_seconds()))
                " s were gymcheck's own: all but loading, countdowns, games and the target's time-outs." }
        }
    }
}

/// What a call's time went on, and its runs in the rows in which they came after each other.
pub(super) fn of_call(results: &Results) -> Markup {
    let totals = Totals::of(results);
    let schedule = Schedule::of(results);
    html! {
        @if let Some(says) = totals.account() {
            section {
                h2 { "What the time was spent on" }
                p { (says) "." }
                @if let Some(effort) = &results.effort {
                    p { (account(effort)) ". gymcheck itself held " (format!("{:.0}", effort.own_memory_mib))
                        " MiB at most." }
                }
                @if let Some(critical) = schedule.critical() { details.card {
                    summary { "The runs beside each other, and the critical path" }
                    (rows(results, &schedule, critical))
                    ul.legend {
                        @for (on, seconds, _) in totals.parts() {
                            li { span.colour.(class(on)) {} (on.name()) " " (format!("{seconds:.0}")) " s" }
                        }
                    }
                    p.hint { "The call waited for the marked row last: "
                        (schedule.rows[critical].len()) " runs one after the other." }
                } }
            }
        }
    }
}

fn rows(results: &Results, schedule: &Schedule, critical: usize) -> Markup {
    let scale = WIDTH / schedule.seconds().max(f64::MIN_POSITIVE);
    let height = (HEIGHT + GAP) * schedule.rows.len() as f64;
    let is_short = schedule.rows.iter().flatten().count() < MANY;
    html! {
        svg.spent viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="The runs beside each other" {
            @for (number, row) in schedule.rows.iter().enumerate() {
                @let y = (HEIGHT + GAP) * number as f64;
                @for placed in row {
                    (bar(results, placed, scale, y, number == critical, is_short))
                }
            }
        }
    }
}

fn bar(
    results: &Results,
    placed: &Placed,
    scale: f64,
    y: f64,
    is_critical: bool,
    with_parts: bool,
) -> Markup {
    let run = &results.runs[placed.index];
    let (x, width) = (placed.from * scale, (placed.to - placed.from) * scale);
    html! {
        a href={ "#run-" (placed.index) } {
            @if with_parts { (spans(&run.profile.spans, x, scale / 1000.0, y)) }
            rect.run.critical[is_critical].whole[!with_parts] x=(format!("{x:.1}")) y=(y)
                width=(format!("{width:.1}")) height=(HEIGHT) {
                title { (run.spec) " " (run.pair) ", " (format!("{:.1}", run.seconds)) " s" }
            }
        }
    }
}

fn spans(spans: &[Span], x: f64, scale: f64, y: f64) -> Markup {
    html! {
        @for span in spans {
            rect.(class(span.on)) x=(format!("{:.1}", x + span.from_ms * scale)) y=(y)
                width=(format!("{:.1}", (span.to_ms - span.from_ms) * scale)) height=(HEIGHT) {
                title { (span.on.name()) " " (format!("{:.1}", (span.to_ms - span.from_ms) / 1000.0)) " s" }
            }
        }
    }
}

fn class(on: Spent) -> &'static str {
    match on {
        Spent::Start => "on-start",
        Spent::Loading => "on-loading",
        Spent::Countdown => "on-countdown",
        Spent::Game => "on-game",
        Spent::TimeOut => "on-time-out",
        Spent::Departure => "on-departure",
        Spent::Observation => "on-observation",
        Spent::Steps => "on-steps",
        Spent::End => "on-end",
    }
}
