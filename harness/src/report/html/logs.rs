//! Consoles and logs: what was said around the failure first, then each whole, cut to a bearable
//! length.

use std::path::Path;

use maud::{Markup, html};

use super::pictures::seconds;
use crate::evidence::{Fact, Log, PageFact};
use crate::report::timeline::{cut, when};
use crate::spec::PlayerName;

/// How many lines of a source are kept where something failed: its last ones.
const LINES: usize = 120;
/// How many where nothing did.
const LINES_OF_A_PASS: usize = 40;
/// How long a line may be.
const LENGTH: usize = 240;
/// How many lines stand around a failure.
const AROUND: usize = 40;

/// A line that somebody wrote.
struct Line {
    at: f64,
    event: u64,
    source: String,
    /// The level, as a page's console names it.
    level: String,
    text: String,
}

pub(super) fn of_run(log: &Log, folder: &Path, failure: Option<f64>) -> Markup {
    let mut lines = lines(log);
    let most = match failure {
        Some(_) => LINES,
        None => LINES_OF_A_PASS,
    };
    lines.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut sources: Vec<&str> = lines.iter().map(|line| line.source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    html! {
        @if let Some(at) = failure {
            h4 { "Around " (seconds(at)) ", from all sources" }
            (table(near(&lines, at)))
        }
        @for source in sources {
            @let said: Vec<&Line> = lines.iter().filter(|line| line.source == source).collect();
            details {
                summary { (source) ", " (said.len()) " lines"
                    @if said.len() > most { ", the last " (most) } }
                (table(said[said.len().saturating_sub(most)..].to_vec()))
            }
        }
        @for player in PlayerName::BOTH { (driver(folder, player, most)) }
    }
}

fn lines(log: &Log) -> Vec<Line> {
    let of_event = |event: &crate::evidence::Event| {
        let player = event.player.as_deref().unwrap_or("a page");
        let (source, level, text) = match &event.fact {
            Fact::ServerLog { line } => ("server log".to_owned(), "", line.as_str()),
            Fact::Page(page) => match &page.what {
                PageFact::Console { level, text } => {
                    (format!("{player}'s console"), level.as_str(), text.as_str())
                }
                PageFact::Error { message, .. } | PageFact::Rejection { message, .. } => {
                    (format!("{player}'s console"), "uncaught", message.as_str())
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(Line {
            at: when(event),
            event: event.seq,
            source,
            level: level.to_owned(),
            text: cut(text, LENGTH),
        })
    };
    log.events().iter().filter_map(of_event).collect()
}

/// The lines nearest to a moment, in their order.
fn near(lines: &[Line], at: f64) -> Vec<&Line> {
    let mut near: Vec<&Line> = lines.iter().collect();
    near.sort_by(|one, other| (one.at - at).abs().total_cmp(&(other.at - at).abs()));
    near.truncate(AROUND);
    near.sort_by(|one, other| one.at.total_cmp(&other.at));
    near
}

fn table(lines: Vec<&Line>) -> Markup {
    html! {
        div.log {
            @for line in lines {
                div class={ "line " (level(&line.level)) } data-events=(line.event) {
                    span.at { (seconds(line.at)) } span.source { (line.source) }
                    span.text { (line.text) }
                }
            }
        }
    }
}

fn level(level: &str) -> &'static str {
    match level {
        "error" | "uncaught" => "error",
        "warn" => "warn",
        _ => "",
    }
}

fn driver(folder: &Path, player: PlayerName, most: usize) -> Markup {
    let name = format!("driver-{player}.log");
    let Ok(bytes) = std::fs::read(folder.join(&name)) else {
        return html! {};
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(|line| cut(line, LENGTH)).collect();
    let last = lines[lines.len().saturating_sub(most)..].join("\n");
    html! {
        @if !lines.is_empty() {
            details {
                summary { (name) ", " (lines.len()) " lines" }
                pre { (last) }
            }
        }
    }
}
