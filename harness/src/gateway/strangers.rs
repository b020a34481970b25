//! Who comes to a player's listener from where the player is not.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How many of their addresses are told; of more, no more is learned.
const MOST_TOLD: usize = 16;

/// Addresses that are let in, and the others that came.
pub(super) struct Strangers {
    /// All, if there are none.
    admits: Option<Vec<IpAddr>>,
    came: Mutex<Vec<IpAddr>>,
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comes {
    /// It is let in.
    In,
    /// It is not, and nobody came from there before.
    Anew,
    /// It is not, once more.
    Again,
}

impl Strangers {
    /// All but these are.
    pub(super) fn besides(admits: Option<Vec<IpAddr>>) -> Strangers {
        let canonical = |admits: Vec<IpAddr>| admits.iter().map(IpAddr::to_canonical).collect();
        Strangers {
            admits: admits.map(canonical),
            came: Mutex::default(),
        }
    }

    /// Somebody comes from an address.
    pub(super) fn comes(&self, from: IpAddr) -> Comes {
        let from = from.to_canonical();
        if self
            .admits
            .as_ref()
            .is_none_or(|admits| admits.contains(&from))
        {
            return Comes::In;
        }
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        if came.contains(&from) || came.len() == MOST_TOLD {
            return Comes::Again;
        }
        came.push(from);
        Comes::Anew
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_named_is_not_let_in_and_is_told_once() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let strangers = Strangers::besides(Some(vec![address("10.0.0.2")]));
        assert_eq!(strangers.comes(address("10.0.0.2")), Comes::In);
        assert_eq!(strangers.comes(address("::ffff:10.0.0.2")), Comes::In);
        assert_eq!(strangers.comes(address("10.0.0.3")), Comes::Anew);
        assert_eq!(strangers.comes(address("10.0.0.3")), Comes::Again);
        assert_eq!(strangers.comes(address("127.0.0.1")), Comes::Anew);
        assert_eq!(
            Strangers::besides(None).comes(address("10.0.0.3")),
            Comes::In
        );
    }
}
