//! What each check asks, why, and on what its answer rests: the words that `explain` and `list`
//! print.

/// A check in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// Its name, as specs write it.
    pub check: &'static str,
    /// What it asks.
    pub question: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What must have been seen for its answer to mean anything.
    pub stimuli: &'static [&'static str],
    /// What it is answered by, each with its source. Two at least must hold for a pass.
    pub oracles: &'static [&'static str],
    /// What makes it vacuous.
    pub vacuous: &'static str,
}

/// The explanation of the check of this name.
#[must_use]
pub fn explain(check: &str) -> Option<&'static Explanation> {
    EXPLANATIONS
        .iter()
        .find(|explanation| explanation.check == check)
}

/// What shows that the partner really went.
const DEPARTURE: &str = "the partner's departure: it went, its socket ended, the target handled it";

/// Every check, in the order in which specs tell a run's story.
pub const EXPLANATIONS: [Explanation; 17] = [
    Explanation {
        check: "played-peer-to-peer",
        question: "Did one connection carry the inputs of both, and do both records of the game \
                   agree?",
        why: "The client can fall back silently to the server's relay: then all that is said of \
              connections is said of another system.",
        stimuli: &[
            "both players pressed keys",
            "the target stored each episode of both",
        ],
        oracles: &[
            "the survivor's page: one connection, whose channel carried an input for every other frame at \
             least, both ways",
            "the partner's page: the same",
            "wire: no input took the relay",
            "records: both files, value by value",
        ],
        vacuous: "nobody pressed a key, or an episode was not stored.",
    },
    Explanation {
        check: "connections-closed",
        question: "Is every connection closed that the GymScene opened?",
        why: "A connection that lives on keeps sending, uses up relay bandwidth, and its callbacks \
              act on scenes that know nothing of the game.",
        stimuli: &[
            "a connection was connected and carried bytes both ways",
            "the survivor left the GymScene, and a barrier after that",
            "nothing but the survivor's own exit could have closed it",
            "the kernel showed UDP sockets of the game, where it could be asked",
        ],
        oracles: &[
            "ledger: the state of each connection and channel",
            "traffic: the wire, and the channels of both pages",
            "kernel: UDP sockets that were not there before the game",
        ],
        vacuous: "no connection was ever up, or something else may have closed it: a death, a \
                  partner who advanced or closed its own first, a connection that broke or was closed \
                  in mid-game.",
    },
    Explanation {
        check: "equipment-stopped",
        question: "Is nothing alive that the game made, once its scene is left?",
        why: "What is left running acts later: it polls, it reports, it raises an overlay when \
              nobody remembers the game.",
        stimuli: &[
            "the survivor's page before the game, and after the exit behind a barrier, the same \
             page",
            "in the game a worker ran that was not there before it",
            "in the game intervals ran that were not there before it",
            "in the game the page listened to an event that it does not listen to for good",
        ],
        oracles: &[
            "ledger: workers, until `terminate()`, intervals, time-outs and callbacks for the next frame, \
             against the page before the game",
            "listeners: on the client's socket, by event, against the page before the game",
            "wire: nothing of a game is sent after the exit",
        ],
        vacuous: "one of these never ran in the game, or the page before it was not looked at.",
    },
    Explanation {
        check: "scene-order",
        question: "Did each advance bring one end of the scene that was left, and then one \
                   beginning of the next; was each game that was left played to its end; could \
                   the next one be joined?",
        why: "Scenes clean up when they end and set up when they begin: in another order, or \
              twice, the one undoes the other.",
        stimuli: &[
            "a game was played to its end, and its scene was left by an advance",
            "a barrier after that",
        ],
        oracles: &[
            "wire: the walk over advance_scene, terminate_scene, activate_scene and join_game",
            "target: the advances that it handled, and the scenes that its log names",
            "page: the header that it shows at rest",
        ],
        vacuous: "no scene of a finished game was left.",
    },
    Explanation {
        check: "data-whole",
        question: "Are the survivor's rows of this game the frames that were played, value by \
                   value?",
        why: "The rows are what the study is for; what is lost at the end of a scene is lost for \
              good.",
        stimuli: &[
            "the page sent each episode's data, and the target took it: its word, where the page asks \
             for one, or the file",
            "keys of both are in the record",
        ],
        oracles: &[
            "wire and file: what the page sent against what the target stored, and still holds when \
             the run ends",
            "frames: each once and in order, none of the episode's steps missing, as many as the \
             partner's record has, and all until the end that the pages tell of",
            "recomputation: the recorded actions, played again from the game's seed, earn the \
             recorded rewards (experiment `duet` only)",
        ],
        vacuous: "the game was not played to its end, or nobody pressed a key in it.",
    },
    Explanation {
        check: "no-overlay",
        question: "Was there no overlay on the scene after the game?",
        why: "The overlay hides the whole page: a participant on the survey loses it because \
              somebody else closed a tab.",
        stimuli: &[
            "the survivor left the GymScene, and was told after that that the partner had ended \
             this game",
            DEPARTURE,
            "or instead: what the rules that the spec names have sent; a player who turned away \
             around the exit",
            "a barrier after that",
        ],
        oracles: &[
            "DOM history: everything that covers or hides the page, however short; and, at each look, whether its \
             text says the message that an overlay would",
            "hit-testing: what a click could reach it can reach still",
            "pixels: the page looks as it did before",
        ],
        vacuous: "the event that would raise the overlay never reached the survivor. With `told = \
                  \"by-target\"` only the target's own event counts, and it is `not applicable` where \
                  the partner went out of the game and the target told nobody.",
    },
    Explanation {
        check: "overlay-shown",
        question: "Was the survivor told in the game that the partner had gone, and did it stay?",
        why: "It is the positive control: the detectors that must stay silent on the survey must \
              speak in the game.",
        stimuli: &[
            "the survivor was in an active GymScene when the partner went",
            DEPARTURE,
        ],
        oracles: &[
            "wire: the target's own word",
            "DOM history: the overlay with the configured message",
            "hit-testing: nothing in reach any more",
            "pixels: another picture",
            "scene: the survivor was not moved on",
        ],
        vacuous: "the partner went before the game began or after it had ended.",
    },
    Explanation {
        check: "told-or-carried-on",
        question: "Was the survivor told in the game and stayed, or not told and came to a scene \
                   that works?",
        why: "A partner who goes in the last frames meets an end that is already under way: half \
              of each story strands the survivor under an overlay on the next scene.",
        stimuli: &[
            "the survivor was in a game that had begun",
            DEPARTURE,
            "a barrier after that",
        ],
        oracles: &[
            "DOM history: what covers the page and has the configured message comes, and stays until the \
             watch ends; or nothing does, nor does the page's text say it",
            "wire: no advance, or an advance and the next scene",
            "hit-testing: nothing in reach, or everything",
        ],
        vacuous: "the partner did not really leave, or not from a game that had begun.",
    },
    Explanation {
        check: "sound-after-departure",
        question: "Wherever the survivor stood when the partner went: was it told in an active game \
                   and stayed, or left in peace anywhere else, where it can go on?",
        why: "A partner may go at any moment of a session. `gymcheck sweep` asks this of all of them: \
              before Start, in the waiting room, in the countdown, in the game, on the way out of it, \
              on the survey.",
        stimuli: &[
            "where the survivor stood",
            DEPARTURE,
            "a barrier after that, where the survivor had come to rest",
        ],
        oracles: &[
            "DOM history: what covers the page and has the configured message comes, and stays until the \
             watch ends; or nothing does, nor does the page's text say it",
            "wire: no advance; or the next scene, the waiting room, the end",
            "hit-testing: nothing in reach, or whatever the scene shows",
        ],
        vacuous: "the partner did not really leave, or the survivor never came to rest.",
    },
    Explanation {
        check: "nothing-left",
        question: "Once the partner has gone and the survivor has come to rest: is no connection open \
                   that a game made, and nothing of a game alive that could act later?",
        why: "What a departure leaves behind acts on whatever comes next. What draws the scene where \
              the survivor rests may go on, and what it waits for another partner with.",
        stimuli: &[
            "the survivor's page before its first game, and the same page at rest",
            DEPARTURE,
            "a barrier after that",
            "where a game had begun: a data channel had carried messages",
        ],
        oracles: &[
            "ledger: connections and channels",
            "equipment: workers, intervals, time-outs, callbacks for the next frame",
            "kernel: the browser's UDP sockets",
        ],
        vacuous: "the partner did not really leave, or the page was loaded anew.",
    },
    Explanation {
        check: "form-answered",
        question: "Could the survivor answer, was it stored, did the next scene come?",
        why: "What the participant wanted to tell is what the study is for.",
        stimuli: &[DEPARTURE, "the survivor answered after that"],
        oracles: &[
            "page: the form took mouse and keys",
            "data file: what the page held, once, and still there when the run ends",
            "wire: the next scene",
        ],
        vacuous: "nobody went, or the answer came before.",
    },
    Explanation {
        check: "no-errors",
        question: "Did neither a page nor the target have an error that nobody caught?",
        why: "Ways out of a game overlap: each closes what another has closed already. One that \
              throws leaves the rest of its work undone.",
        stimuli: &[
            "each path out of the game that the spec names, in its order: taken, or due, where \
             one before it has closed it",
            "a barrier after that",
        ],
        oracles: &[
            "pages: uncaught errors and rejected promises of both players' pages",
            "target: errors of its handlers, and tracebacks in its log",
        ],
        vacuous: "one of the paths was not taken, or not in this order.",
    },
    Explanation {
        check: "fresh-connection",
        question: "Did a connection that was made for this game carry its inputs?",
        why: "A page that keeps the first game's closed connection plays the second one over the \
              server's relay, and looks all right.",
        stimuli: &[
            "the game began for both",
            "both pressed keys in it",
            "at least 20 frames were played",
        ],
        oracles: &[
            "the survivor's page: a connection made for the game, with inputs for its frames, and none \
             on an older one",
            "the partner's page: the same",
            "wire: no input of the game took the relay",
        ],
        vacuous: "there was no such game, or too little of it was played.",
    },
    Explanation {
        check: "same-equipment",
        question: "Does a later game run on the same equipment, page and Python as the first?",
        why: "A game that is set up by halves the second time runs, and what watches over it does \
              not; one that loads Python again keeps participants waiting.",
        stimuli: &[
            "the survivor's page in either game",
            "a worker and intervals ran in the first",
            "its scene was left in between",
        ],
        oracles: &[
            "ledger: workers, intervals and open connections, by who made them",
            "listeners: on the client's socket, by event",
            "wire: the kinds of event that the page sends on the way into a game",
            "runtime: the same page, Python loaded once, nothing of it fetched again",
        ],
        vacuous: "there was no second game.",
    },
    Explanation {
        check: "nobody-told",
        question: "Does the target leave those in peace who have left the game?",
        why: "What the server does not send needs no guard in the page: a game that it still holds \
              must harm nobody who has left it.",
        stimuli: &[
            "the survivor had left the game, and the partner was still in it",
            DEPARTURE,
            "a barrier after that",
        ],
        oracles: &[
            "wire: no event of the game, and no news of a partner, of the target's own; once the partner \
             has gone, nothing that the survivor was never sent before",
            "target's log: it notifies nobody in that game",
        ],
        vacuous: "the partner had left the game's scene before it went.",
    },
    Explanation {
        check: "counts-steady",
        question: "Do listeners, workers, intervals and open connections not grow from scene to \
                   scene?",
        why: "What each game adds and none takes away slows the page down, and answers events \
              several times.",
        stimuli: &[
            "three scenes or more, in one page",
            "before each a game was played over a connection of its own, and left",
        ],
        oracles: &[
            "listeners: on the client's socket, by event",
            "equipment: workers, and intervals by who made them",
            "connections: open connections, channels and WebSockets",
            "document listeners: on the document, by event",
            "window listeners: on the window, by event",
        ],
        vacuous: "fewer than three games were played in one page.",
    },
    Explanation {
        check: "server-forgets",
        question: "Does the target hold no game any more that everybody has left?",
        why: "A game that is kept after its last player has gone is never let go of: it uses up room, \
              and what is sent to it still reaches those who were in it.",
        stimuli: &[
            "as many games as the spec names were played, and everybody has left them: by an advance \
             that the target has handled, or by a disconnect",
            "a barrier after that",
            "it was seen what the target held after that",
        ],
        oracles: &[
            "coordinator: its table, which held each game while it was played",
            "game managers: their tables, and the participants that they still list for a game",
            "rooms: those of the Socket.IO library, and who is still in one of a game",
        ],
        vacuous: "too few games were played or left, or the target cannot be looked into.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::CheckSpec;

    /// Every name that a spec may write: a wrong one is answered with the list of them.
    fn names() -> Vec<String> {
        let error =
            toml::from_str::<CheckSpec>("requirement = \"X\"\nask = { no-such-check = {} }")
                .expect_err("there is no such check");
        let known = error
            .message()
            .split_once("expected one of")
            .expect("a list")
            .1;
        known
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_check_is_explained_once() {
        let mut explained: Vec<&str> = EXPLANATIONS.iter().map(|one| one.check).collect();
        let mut names = names();
        explained.sort_unstable();
        names.sort_unstable();
        assert_eq!(explained, names);
    }

    #[test]
    fn every_explanation_is_whole() {
        for one in EXPLANATIONS {
            assert!(one.question.ends_with('?'), "{}", one.check);
            assert!(
                one.why.ends_with('.') && one.vacuous.ends_with('.'),
                "{}",
                one.check
            );
            assert!(!one.stimuli.is_empty(), "{}", one.check);
            assert!(
                one.oracles.len() >= super::super::LEAST_ORACLES,
                "{}",
                one.check
            );
            for oracle in one.oracles {
                assert!(oracle.contains(": "), "{}: {oracle}", one.check);
            }
            assert_eq!(explain(one.check), Some(&one));
        }
        assert_eq!(explain("no-such-check"), None);
    }
}
