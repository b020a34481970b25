//! A finished log, and questions to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fact::*;

/// The file in a run's folder that holds its evidence.
pub const EVIDENCE: &str = "evidence.jsonl";

/// The first line of a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format, see [`FORMAT_VERSION`].
    pub gymcheck_evidence: u32,
}

/// Why a log could not be read.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file could not be opened or read.
    #[error("cannot read the evidence {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The first line is not the header of a log.
    #[error(
        "{path} is not a log of evidence: its first line is no header; give an evidence.jsonl that gymcheck wrote"
    )]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// The log is of another version of the format.
    #[error(
        "{path} has version {found} of the evidence format, this gymcheck reads version {FORMAT_VERSION}; judge it with the gymcheck that wrote it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// Where a log can be read no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Line number in the file, from 1.
    pub line: usize,
    /// What is wrong with that line.
    pub what: String,
}

/// The events of one run, in order.
#[derive(Debug, Clone, Default)]
pub struct Log {
    events: Vec<Event>,
    damage: Option<Damage>,
}

/// How long a line may be, in bytes. The longest that a run wrote so far is below one million.
const LONGEST_LINE: u64 = 64 << 20;

/// How long a log may be, in bytes: a run that would write more is broken. The longest that a run wrote so
/// far is below ten million.
pub(super) const MOST_BYTES: u64 = 512 << 20;

impl Log {
    /// A log of these events, which are in order.
    #[must_use]
    pub fn new(events: Vec<Event>) -> Log {
        Log {
            events,
            damage: None,
        }
    }

    /// Reads a log from a file, as far as it can be read: see [`Log::damage`].
    ///
    /// # Errors
    /// The file cannot be read, is no log, or is of another version.
    pub fn read(path: &Path) -> Result<Log, LogError> {
        let file = std::fs::File::open(path).map_err(|source| LogError::Io {
            path: path.into(),
            source,
        })?;
        // What a run wrote last may have gone beyond it.
        Log::read_from(BufReader::new(file), path, MOST_BYTES + LONGEST_LINE)
    }

    /// Reads a log, of which no more than `most` bytes are taken.
    fn read_from(mut file: impl BufRead, path: &Path, most: u64) -> Result<Log, LogError> {
        let io = |source| LogError::Io {
            path: path.into(),
            source,
        };
        let mut left = most;
        let first = next_line(&mut file, &mut left).map_err(io)?;
        let header: Header = first
            .and_then(Result::ok)
            .and_then(|line| serde_json::from_str(&line).ok())
            .ok_or_else(|| LogError::NoHeader { path: path.into() })?;
        if header.gymcheck_evidence != FORMAT_VERSION {
            return Err(LogError::Version {
                path: path.into(),
                found: header.gymcheck_evidence,
            });
        }
        let mut log = Log::default();
        while let Some(line) = next_line(&mut file, &mut left).map_err(io)? {
            let event = line.and_then(|line| event_after(log.events.last(), &line));
            match event {
                Ok(event) => log.events.push(event),
                Err(what) => {
                    let line = log.events.len() + 2;
                    log.damage = Some(Damage { line, what });
                    break;
                }
            }
        }
        Ok(log)
    }

    /// Where the file could be read no further, if it could not: a run that was cut off in the middle
    /// of a line, or a line that no run has written. What comes after it is not in the log.
    #[must_use]
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// All events, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events of one player, in order.
    pub fn of<'a>(&'a self, player: &'a str) -> impl DoubleEndedIterator<Item = &'a Event> {
        self.events
            .iter()
            .filter(move |event| event.player.as_deref() == Some(player))
    }

    /// What was run, if the log says so.
    #[must_use]
    pub fn run(&self) -> Option<&RunFacts> {
        self.events.iter().find_map(|event| match &event.fact {
            Fact::Run(run) => Some(run),
            _ => None,
        })
    }

    /// Why the run could not be carried out, if it could not.
    #[must_use]
    pub fn broken(&self) -> Option<(&Event, &BrokenFact)> {
        self.events.iter().find_map(|event| match &event.fact {
            Fact::Broken(broken) => Some((event, broken)),
            _ => None,
        })
    }

    /// The step that the target missed, if it missed one.
    #[must_use]
    pub fn missed(&self) -> Option<(&Event, &StepFact)> {
        self.not_done().filter(|(_, step)| !step.not_offered)
    }

    /// The step for which the experiment has not what it needs, if there is one.
    #[must_use]
    pub fn not_offered(&self) -> Option<(&Event, &StepFact)> {
        self.not_done().filter(|(_, step)| step.not_offered)
    }

    fn not_done(&self) -> Option<(&Event, &StepFact)> {
        self.events.iter().find_map(|event| match &event.fact {
            Fact::Step(step) if step.phase == StepPhase::Missed => Some((event, step)),
            _ => None,
        })
    }

    /// Why something cannot be had of the run's target, if it cannot.
    #[must_use]
    pub fn lacks(&self, source: Source) -> Option<&str> {
        let never = self.run()?.lacks.get(&source).map(String::as_str);
        match source {
            Source::Log => never.or_else(|| self.left_out()),
            Source::Handlers | Source::Data | Source::Kernel => never,
        }
    }

    /// Why the target's log is not whole, if it is not.
    fn left_out(&self) -> Option<&str> {
        let of_target = log_of(SERVER);
        self.events.iter().find_map(|event| match &event.fact {
            Fact::Absent { oracle, reason } if *oracle == of_target => Some(reason.as_str()),
            _ => None,
        })
    }

    /// Socket.IO events of a player that passed the gateway, in order: the log's event, the wire's
    /// fact, and the arguments. The harness's own are none of them.
    pub fn socket_events<'a>(
        &'a self,
        player: &'a str,
        direction: Direction,
        name: &'a str,
    ) -> impl DoubleEndedIterator<Item = (&'a Event, &'a WireFact, &'a [serde_json::Value])> {
        self.wire_events(player, direction, name)
            .filter(|(_, wire, _)| wire.origin != Origin::Harness)
    }

    /// The pings of the harness's own on a player's connection, in order. Where there are two after
    /// an event, the page had received that event before the second one, and all that it had sent
    /// until then had arrived.
    pub fn own_pings<'a>(&'a self, player: &'a str) -> impl DoubleEndedIterator<Item = &'a Event> {
        self.wire_events(player, Direction::ToServer, "ping")
            .filter(|(_, wire, _)| wire.origin == Origin::Harness)
            .map(|(event, _, _)| event)
    }

    fn wire_events<'a>(
        &'a self,
        player: &'a str,
        direction: Direction,
        name: &'a str,
    ) -> impl DoubleEndedIterator<Item = (&'a Event, &'a WireFact, &'a [serde_json::Value])> {
        self.of(player).filter_map(move |event| match &event.fact {
            Fact::Wire(wire) if wire.direction == direction => {
                let (found, args) = wire.packet.game_event()?;
                (found == name).then_some((event, wire, args))
            }
            _ => None,
        })
    }

    /// The target's id of a player's newest Socket.IO session: the one in which its page registered
    /// its participant. A page may have others besides, which take no part.
    #[must_use]
    pub fn session<'a>(&'a self, player: &'a str) -> Option<&'a str> {
        let (_, session) = self.participant(player, u64::MAX)?;
        Some(session)
    }

    /// The connection on which a player's page had registered its participant before a position of
    /// the log, and the target's id of the session there.
    #[must_use]
    pub fn participant<'a>(&'a self, player: &'a str, before: u64) -> Option<(u64, &'a str)> {
        let (registration, registered, _) = self
            .socket_events(player, Direction::ToServer, REGISTER)
            .rfind(|(event, _, _)| event.seq < before)?;
        let session = self.of(player).rev().find_map(|event| match &event.fact {
            Fact::Wire(WireFact {
                connection,
                direction: Direction::ToClient,
                packet: Packet::Connect { namespace, data },
                ..
            }) if *connection == registered.connection
                && namespace == "/"
                && event.seq < registration.seq =>
            {
                data.get("sid")?.as_str()
            }
            _ => None,
        })?;
        Some((registered.connection, session))
    }

    /// The snapshot of a player's page at a moment of the run.
    #[must_use]
    pub fn snapshot<'a>(
        &'a self,
        player: &'a str,
        label: &str,
    ) -> Option<(&'a Event, &'a Snapshot)> {
        self.of(player).find_map(|event| match &event.fact {
            Fact::Snapshot(snapshot) if snapshot.label == label => Some((event, snapshot)),
            _ => None,
        })
    }

    /// The kernel's view of a player's browser at a moment of the run.
    #[must_use]
    pub fn kernel<'a>(
        &'a self,
        player: &'a str,
        label: &str,
    ) -> Option<(&'a Event, &'a KernelFact)> {
        self.of(player).find_map(|event| match &event.fact {
            Fact::Kernel(kernel) if kernel.label == label => Some((event, kernel)),
            _ => None,
        })
    }

    /// The files that the target stored of a player, by path: each as it was found last.
    #[must_use]
    pub fn data_files<'a>(
        &'a self,
        player: &'a str,
    ) -> BTreeMap<&'a str, (&'a Event, &'a DataFile)> {
        self.of(player)
            .filter_map(|event| match &event.fact {
                Fact::DataFile(file) => Some((file.path.as_str(), (event, file))),
                _ => None,
            })
            .collect()
    }

    /// The barrier of a player at a moment of the run.
    #[must_use]
    pub fn barrier<'a>(&'a self, player: &'a str, label: &str) -> Option<&'a Event> {
        self.of(player)
            .find(|event| matches!(&event.fact, Fact::Barrier(barrier) if barrier.label == label))
    }
}

/// The next line of a log of which `left` bytes are still taken, without its end; nothing at the end of the
/// file. A line that cannot be read says why.
fn next_line(
    file: &mut impl BufRead,
    left: &mut u64,
) -> std::io::Result<Option<Result<String, String>>> {
    let mut bytes = Vec::new();
    // One more than there may be shows that there is more.
    let most = LONGEST_LINE.min(*left + 1);
    let length = file.take(most).read_until(b'\n', &mut bytes)? as u64;
    if length == 0 {
        return Ok(None);
    }
    let Some(rest) = left.checked_sub(length) else {
        let why = "with it the log is longer than any that is taken".to_owned();
        return Ok(Some(Err(why)));
    };
    *left = rest;
    if bytes.pop() != Some(b'\n') {
        let why = match length == LONGEST_LINE {
            true => format!("it is longer than {LONGEST_LINE} bytes"),
            false => "it is cut off: it has no end".to_owned(),
        };
        return Ok(Some(Err(why)));
    }
    let text = String::from_utf8(bytes);
    Ok(Some(
        text.map_err(|error| format!("it is no UTF-8: {error}")),
    ))
}

/// The event of a line that follows another one.
fn event_after(before: Option<&Event>, line: &str) -> Result<Event, String> {
    let event: Event =
        serde_json::from_str(line).map_err(|error| format!("it is no event: {error}"))?;
    match before {
        Some(before) if event.seq <= before.seq => Err(format!(
            "its number {} does not come after {}",
            event.seq, before.seq
        )),
        _ => Ok(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of this many lines, each an event of the server's.
    fn written(lines: usize) -> String {
        let lines = (0..lines).map(|seq| {
            let fact = Fact::ServerLog { line: "x".into() };
            let event = Event {
                seq: seq as u64,
                t: 0.0,
                player: None,
                fact,
            };
            serde_json::to_string(&event).expect("it can be written") + "\n"
        });
        std::iter::once("{\"gymcheck_evidence\":1}\n".to_owned())
            .chain(lines)
            .collect()
    }

    #[test]
    fn no_more_of_a_log_is_taken_than_there_may_be() {
        let text = written(20);
        let read = |most: usize| {
            let log = Log::read_from(text.as_bytes(), Path::new("log"), most as u64);
            log.expect("a log")
        };
        let whole = read(text.len());
        assert_eq!((whole.events().len(), whole.damage()), (20, None));
        for most in [text.len() - 1, text.len() - 10] {
            let cut = read(most);
            assert_eq!(cut.events().len(), 19);
            let damage = cut.damage().expect("it is too long");
            assert_eq!(damage.line, 21);
            assert!(damage.what.contains("longer than any"), "{damage:?}");
        }
    }

    #[test]
    fn a_line_is_read_to_a_depth_and_no_deeper() {
        let nested = |levels: usize| {
            let action = ActionFact {
                action: "type".into(),
                value: "here".into(),
            };
            let event = Event {
                seq: 1,
                t: 0.0,
                player: None,
                fact: Fact::Action(action),
            };
            let deep = "[".repeat(levels) + &"]".repeat(levels);
            let event = serde_json::to_string(&event).expect("it can be written");
            let text = format!("{}{}\n", written(1), event.replace("\"here\"", &deep));
            let log = Log::read_from(text.as_bytes(), Path::new("log"), MOST_BYTES);
            log.expect("a log")
        };
        assert_eq!(nested(100).damage(), None);
        let deeper = nested(1_000_000);
        assert_eq!(deeper.events().len(), 1);
        let damage = deeper.damage().expect("it is none");
        assert!(damage.what.contains("recursion limit"), "{damage:?}");
    }

    #[test]
    fn what_passes_in_another_namespace_is_not_the_games() {
        let packet = |seq, direction, packet| Event {
            seq,
            t: 0.0,
            player: Some("survivor".into()),
            fact: Fact::Wire(WireFact {
                connection: 1,
                direction,
                origin: Origin::Natural,
                packet,
            }),
        };
        let let_in = |namespace: &str, sid: &str| Packet::Connect {
            namespace: namespace.into(),
            data: serde_json::json!({ "sid": sid }),
        };
        let registers = |namespace: &str| Packet::Event {
            namespace: namespace.into(),
            name: REGISTER.into(),
            args: Vec::new(),
            ack: None,
        };
        let log = Log::new(vec![
            packet(0, Direction::ToClient, let_in("/", "game")),
            packet(1, Direction::ToClient, let_in("/admin", "other")),
            packet(2, Direction::ToServer, registers("/")),
            packet(3, Direction::ToServer, registers("/admin")),
            packet(4, Direction::ToClient, let_in("/", "later")),
        ]);
        assert_eq!(log.session("survivor"), Some("game"));
        let registered = log.socket_events("survivor", Direction::ToServer, REGISTER);
        let places: Vec<u64> = registered.map(|(event, _, _)| event.seq).collect();
        assert_eq!(places, [2]);
    }
}
