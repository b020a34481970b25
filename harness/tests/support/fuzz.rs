//! Properties that hold of whatever is sent: tried on made-up input, and on real input with mistakes in
//! it, for as long as there is time.
//!
//! Each property gets a second; `GYMCHECK_FUZZ_SECONDS=600` gives each ten minutes. What breaks one is
//! made as small as possible, and shown; it belongs into a test of its own.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// How many inputs are tried between two looks at the clock.
const AT_ONCE: u32 = 8;

/// Tries a property, which panics where it does not hold.
pub fn holds<S>(inputs: &S, property: impl Fn(S::Value))
where
    S: Strategy,
    S::Value: Debug,
{
    let seconds = std::env::var("GYMCHECK_FUZZ_SECONDS");
    let seconds = seconds.map_or(1.0, |text| text.parse().expect("a number of seconds"));
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut tried = 0;
    while tried == 0 || Instant::now() < until {
        let config = Config {
            cases: AT_ONCE,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new(config);
        let result = runner.run(inputs, |input| {
            property(input);
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
        tried += AT_ONCE;
    }
    eprintln!("{tried} inputs tried");
}

/// A change to a text.
#[derive(Debug, Clone)]
enum Mistake {
    Remove(Index, u8),
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    /// A piece of it once more, somewhere else, again and again.
    Repeat(Index, u8, Index, u8),
    CutOff(Index),
}

fn mistake(words: &'static [&'static str]) -> impl Strategy<Value = Mistake> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, length)| Mistake::Remove(at, length)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mistake::Replace(at, byte)),
        (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Mistake::Insert(at, bytes)),
        (at(), select(words)).prop_map(|(at, word)| Mistake::Insert(at, word.into())),
        (at(), any::<u8>(), at(), 1..40_u8)
            .prop_map(|(from, length, to, times)| { Mistake::Repeat(from, length, to, times) }),
        at().prop_map(Mistake::CutOff),
    ]
}

/// One of these texts, with mistakes in it, or none; `words` are what it could have one more of.
pub fn with_mistakes(
    texts: Vec<Vec<u8>>,
    words: &'static [&'static str],
) -> impl Strategy<Value = Sent> {
    (select(texts), vec(mistake(words), 0..6)).prop_map(|(mut text, mistakes)| {
        for mistake in mistakes {
            make(&mut text, mistake);
        }
        Sent(text)
    })
}

fn make(text: &mut Vec<u8>, mistake: Mistake) {
    let length = text.len();
    match mistake {
        Mistake::Insert(at, bytes) => {
            let at = at.index(length + 1);
            text.splice(at..at, bytes);
        }
        _ if length == 0 => {}
        Mistake::Remove(at, many) => {
            let at = at.index(length);
            text.drain(at..(at + usize::from(many)).min(length));
        }
        Mistake::Replace(at, byte) => text[at.index(length)] = byte,
        Mistake::Repeat(from, many, to, times) => {
            let from = from.index(length);
            let piece = text[from..(from + usize::from(many)).min(length)].repeat(times.into());
            let to = to.index(length);
            text.splice(to..to, piece);
        }
        Mistake::CutOff(at) => text.truncate(at.index(length)),
    }
}

/// What is sent, or what stands in a file.
#[derive(Clone)]
pub struct Sent(pub Vec<u8>);

impl Sent {
    #[allow(dead_code, reason = "files are bytes")]
    pub fn as_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}
