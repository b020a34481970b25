//! What the gateway is told to do to the players' events.

mod rule;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use rule::{Fault, Forged, Passage, Rule, Side};

/// The rules of one run that are in force.
pub(super) struct Rules {
    set: Mutex<Vec<Set>>,
    /// Wakes the connections when a rule is released.
    released: watch::Sender<()>,
}

struct Set {
    rule: Rule,
    /// Whether it has met its event already.
    spent: bool,
    /// Whether the event that a hold waits for has passed before there was anything to hold.
    overdue: bool,
}

/// A rule that keeps an event from being passed on now.
#[derive(Debug)]
pub(super) enum Stop {
    Hold,
    /// It need not wait: the event that it was to come after has passed already.
    InOrder,
    Delay(Duration),
    Cut,
    Drop,
    /// It waits alone until an event of this name has passed.
    SetAside {
        until: String,
    },
}

/// A rule that sends something along with an event.
#[derive(Debug)]
pub(super) enum Company {
    Duplicate,
    Forged(Side, Forged),
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            set: Mutex::default(),
            released: watch::Sender::new(()),
        }
    }
}

impl Rules {
    pub(super) fn set(&self, rule: Rule) {
        self.rules().push(Set {
            rule,
            spent: false,
            overdue: false,
        });
    }

    /// Takes a rule out of force. A hold that has kept nothing so far has only to see its event come after
    /// this. False if there is none of that name.
    pub(super) fn release(&self, name: &str) -> bool {
        self.let_go(|rule| rule.name == name)
    }

    /// An event was delivered: those who waited for it are released. A hold that has kept nothing so
    /// far has only to see its own event come after this one.
    pub(super) fn passed(&self, at: &Passage) {
        self.let_go(
            |rule| matches!(&rule.fault, Fault::Hold { until: Some(until) } if until == at),
        );
    }

    /// Whether a rule is in force.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.rules().iter().any(|set| set.rule.name == name)
    }

    /// Tells of every release from now on.
    pub(super) fn releases(&self) -> watch::Receiver<()> {
        self.released.subscribe()
    }

    /// The rule that stops an event which is about to be passed on, by its name.
    pub(super) fn stopping(&self, at: &Passage) -> Option<(String, Stop)> {
        let mut rules = self.rules();
        rules.iter_mut().find_map(|set| {
            let stop = set.stop(at)?;
            set.spent = true;
            Some((set.rule.name.clone(), stop))
        })
    }

    /// The rules that send something along with an event which is passed on now, by their names.
    pub(super) fn company(&self, at: &Passage) -> Vec<(String, Company)> {
        let mut rules = self.rules();
        let unspent = rules.iter_mut().filter(|set| !set.spent);
        let met = unspent.filter_map(|set| {
            let company = set.rule.company(at)?;
            set.spent = true;
            Some((set.rule.name.clone(), company))
        });
        met.collect()
    }

    /// Takes the wanted rules out of force; of those, a hold that has kept nothing so far stays to see its
    /// event come. Whether there is one.
    fn let_go(&self, wanted: impl Fn(&Rule) -> bool) -> bool {
        let mut rules = self.rules();
        let before = rules.len();
        let mut is_any = false;
        rules.retain_mut(|set| {
            if !wanted(&set.rule) {
                return true;
            }
            is_any = true;
            set.overdue = matches!(set.rule.fault, Fault::Hold { .. }) && !set.spent;
            set.overdue
        });
        let removed = rules.len() < before;
        drop(rules);
        if removed {
            self.released.send_replace(());
        }
        is_any
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Set>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Set {
    /// What it does to an event that is about to be passed on.
    fn stop(&self, at: &Passage) -> Option<Stop> {
        match self.rule.stop(at)? {
            Stop::Hold if self.overdue => (!self.spent).then_some(Stop::InOrder),
            // A hold is for every such event until it is released.
            Stop::Hold => Some(Stop::Hold),
            stop => (!self.spent).then_some(stop),
        }
    }
}

impl Rule {
    fn stop(&self, at: &Passage) -> Option<Stop> {
        if let Fault::Overtake { before } = &self.fault {
            let same_way = (&at.player, at.direction) == (&self.at.player, self.at.direction);
            let until = self.at.event.clone();
            return (same_way && at.event == *before).then_some(Stop::SetAside { until });
        }
        if *at != self.at {
            return None;
        }
        match &self.fault {
            Fault::Hold { .. } => Some(Stop::Hold),
            Fault::Delay(by) => Some(Stop::Delay(*by)),
            Fault::Cut => Some(Stop::Cut),
            Fault::Drop => Some(Stop::Drop),
            Fault::Inject { .. } | Fault::Duplicate | Fault::Overtake { .. } => None,
        }
    }

    fn company(&self, at: &Passage) -> Option<Company> {
        if *at != self.at {
            return None;
        }
        match &self.fault {
            Fault::Duplicate => Some(Company::Duplicate),
            Fault::Inject { side, forged } => Some(Company::Forged(*side, forged.clone())),
            Fault::Hold { .. }
            | Fault::Delay(_)
            | Fault::Cut
            | Fault::Drop
            | Fault::Overtake { .. } => None,
        }
    }
}
