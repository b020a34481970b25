//! What the kernel says of the browsers.

use super::process::lifetime;
use super::{Row, Style, mark};
use crate::evidence::{Fact, Log};
use crate::spec::PlayerName;

pub(super) fn rows(log: &Log, end: f64) -> Vec<Row> {
    let players = PlayerName::BOTH.into_iter();
    players
        .flat_map(|player| {
            let player = player.as_str();
            [browser(log, player, end), sockets(log, player)]
        })
        .collect()
}

fn browser(log: &Log, player: &str, end: f64) -> Row {
    let name = format!("{player}'s browser");
    let mut row = Row::new(name.clone());
    for event in log.of(player) {
        match &event.fact {
            Fact::Process(process) if process.role == "browser" => {
                lifetime(&mut row, event, process, &name, end);
            }
            _ => {}
        }
    }
    row
}

/// The UDP sockets of a browser's tree, each time that they were counted.
fn sockets(log: &Log, player: &str) -> Row {
    let mut row = Row::new(format!("{player}'s UDP sockets"));
    for event in log.of(player) {
        if let Fact::Kernel(kernel) = &event.fact {
            let count = kernel.udp.iter().filter(|one| !one.multicast_dns).count();
            let label = format!("{count} at `{}`", kernel.label);
            row.marks.push(mark(event, label, Style::Kernel));
        }
    }
    row
}
