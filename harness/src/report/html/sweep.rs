//! The chart of a sweep: time along the session's phases, the verdict of each run by its colour, and the
//! windows of failure.

use maud::{Markup, html};

use super::answer::class;
use crate::report::results::Results;
use crate::run::sweep::{Sample, Session, SweepRecord, Track, Window};
use crate::verdict::Verdict;

/// How wide the part of the chart is that stands for the session, and where it begins.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 170.0;
/// How high the names of the phases and the row of a check are.
const TOP: f64 = 96.0;
const ROW: f64 = 46.0;
/// How wide a phase must be for its name to stand above it.
const LEAST_FOR_A_NAME: f64 = 14.0;
/// In how many lines the runs of a row stand, so that they do not hide each other.
const LINES: usize = 4;

/// A chart for each track, and the windows in words.
pub(super) fn charts(results: &Results) -> Markup {
    html! {
        @if let Some(sweep) = &results.sweep {
            section {
                h2 { "Sweep: the partner's departure, moved over the session" }
                @if let Some(why) = &sweep.unfinished {
                    p.trouble { "Not finished: " (why) ". " code { "gymcheck sweep --continue" } " goes on." }
                }
                @for track in &sweep.tracks { (track_of(results, sweep, track)) }
            }
        }
    }
}

fn track_of(results: &Results, sweep: &SweepRecord, track: &Track) -> Markup {
    html! {
        article.card {
            h3 {
                "The partner leaves by " code { (track.how) } ", " (track.role) ", on " (track.pair)
                @if !sweep.repairs.is_empty() { ", repaired: " (sweep.repairs.join(", ")) }
            }
            @match &track.session {
                None => p { "The session in which nobody leaves was not played to its end." },
                Some(session) => {
                    (chart(results, track, session))
                    (windows(track))
                }
            }
        }
    }
}

fn windows(track: &Track) -> Markup {
    html! {
        @if track.windows.is_empty() {
            p { "No window of failure in " (track.samples.len()) " runs." }
        } @else {
            div.scroll { table.windows {
                thead { tr {
                    th { "check" } th { "window" } th { "begins" } th { "ends" } th { "was seen" }
                    th { "pinned by" }
                } }
                tbody { @for window in &track.windows { tr {
                    td { code { (window.check) } }
                    td { (wide(window)) ", " (window.runs) " runs" }
                    td { (edge(window, true)) }
                    td { (edge(window, false)) }
                    td { (window.account) }
                    td { @if let Some(pinned) = &window.pinned { code { (pinned) } } }
                } } }
            } }
        }
    }
}

fn wide(window: &Window) -> String {
    match window.is_chance() {
        true => "by chance".to_owned(),
        false => format!("{:.0} ms", window.width_ms),
    }
}

fn edge(window: &Window, begins: bool) -> Markup {
    let edge = if begins { &window.from } else { &window.to };
    html! {
        @match edge {
            Some(edge) => {
                (edge.before) "; " (edge.behind)
                @if !edge.is_settled() { " – fewer runs than five on a side" }
            },
            None if begins => "from the first instant on",
            None => "to the last instant",
        }
    }
}

fn chart(results: &Results, track: &Track, session: &Session) -> Markup {
    let checks = track.checks();
    let height = TOP + ROW * checks.len() as f64 + 24.0;
    let all = LEFT + WIDTH + 16.0;
    let x = |time: f64| LEFT + WIDTH * time / session.end_ms.max(1.0);
    html! {
        div.scroll {
            svg.sweep viewBox=(format!("0 0 {all} {height}")) width=(all) height=(height) role="img"
                aria-label="Verdicts along the session's phases" {
                @for (index, phase) in session.phases.iter().enumerate() {
                    @let from = x(phase.at_ms);
                    @let to = session.phases.get(index + 1).map_or(LEFT + WIDTH, |next| x(next.at_ms));
                    rect class=(if index % 2 == 0 { "even" } else { "odd" }) x=(from) y=(TOP) width=(to - from)
                        height=(height - TOP - 24.0) {
                        title { (phase.event) " of game " (phase.game) ", " (phase.at_ms.round()) " ms" }
                    }
                    @if to - from >= LEAST_FOR_A_NAME { text.phase transform=(format!("translate({:.1} {:.1}) rotate(-45)", from + 6.0, TOP - 6.0)) {
                        (phase.name()) " " (phase.game)
                    } }
                }
                @for (row, check) in checks.iter().enumerate() {
                    @let y = TOP + ROW * row as f64;
                    text.check x="4" y=(y + ROW / 2.0) { (check) }
                    @for window in track.windows.iter().filter(|one| one.check == *check) {
                        @let (from, to) = window.at_ms;
                        rect.window x=(x(from) - 5.0) y=(y + 3.0) width=(x(to) - x(from) + 10.0)
                            height=(ROW - 6.0) { title { (wide(window)) ": " (window.account) } }
                    }
                    @for (number, sample) in track.samples.iter().enumerate() {
                        @if let Some(seen) = sample.seen(session) {
                            @let line = (number % LINES) as f64;
                            @let cy = y + 9.0 + line * (ROW - 18.0) / (LINES - 1) as f64;
                            @let verdict = sample.verdicts.get(*check).copied().unwrap_or(Verdict::Broken);
                            a href=(link(results, track, sample)) {
                                circle class=(class(verdict)) cx=(format!("{:.1}", x(session.time(&seen))))
                                    cy=(format!("{cy:.1}")) r="4" {
                                    title { (verdict) ", " (seen) }
                                }
                            }
                        }
                    }
                }
                @for second in 0..=(session.end_ms / 1000.0) as u32 {
                    @if second % 5 == 0 {
                        text.second x=(x(f64::from(second) * 1000.0)) y=(height - 6.0) { (second) " s" }
                    }
                }
            }
        }
    }
}

/// Where the page shows the run of a sample.
fn link(results: &Results, track: &Track, sample: &Sample) -> String {
    let run = results
        .runs
        .iter()
        .position(|run| track.is_run_of(sample, run));
    run.map_or_else(String::new, |index| format!("#run-{index}"))
}
