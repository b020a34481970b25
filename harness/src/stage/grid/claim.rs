//! What was asked of a grid, until it is given back.
//!
//! A request for a session stays in the queue of a grid when who made it has gone, and the session that comes of it
//! stays for minutes: others find its slot taken. So each request has a name of its own, by which it is found in the
//! queue, and its session in a slot, whoever looks for them: the run that ends, a call that is interrupted, or the
//! watchdog of one that was killed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Endpoint, GridError};
use crate::stage::watchdog;

/// For how long it is looked for what has come of a request.
const GIVE_BACK: Duration = Duration::from_secs(60);

/// For all to be given back when the program is about to exit.
const ALL: Duration = Duration::from_secs(150);

/// How long there is between two looks for a session that is just being made.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// How many looks in a row must find nothing: between the queue and a slot a request is nowhere for a moment.
const EMPTY_LOOKS: u32 = 2;

/// Those of this program that were not given back.
static HELD: Mutex<Vec<Claim>> = Mutex::new(Vec::new());

/// A request for a session, and the session, once there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stage) struct Claim {
    endpoint: Endpoint,
    /// What the request, and its session, is called.
    pub(in crate::stage) name: String,
    session: Option<String>,
    /// Where it is, if that is known: a node ends its sessions also when its grid is gone.
    node: Option<Endpoint>,
}

impl Claim {
    /// Ends the session, or takes back the request for it.
    ///
    /// # Errors
    /// The grid does not do it, and no node in its stead.
    pub(in crate::stage) async fn give_back(&self) -> Result<(), GridError> {
        let Some(session) = &self.session else {
            return self.withdraw().await;
        };
        match (self.endpoint.end(session).await, &self.node) {
            (Ok(()), _) => Ok(()),
            (Err(error), None) => Err(error),
            (Err(error), Some(node)) => node.end(session).await.map_err(|_| error),
        }
    }

    /// Takes back a request of which nobody knows what has come of it.
    async fn withdraw(&self) -> Result<(), GridError> {
        let end = Instant::now() + GIVE_BACK;
        let mut empty = 0;
        loop {
            let withdrawn = self.endpoint.withdraw(&self.name).await?;
            let offer = self.endpoint.offer().await?;
            let sessions = offer.named(&self.name);
            for session in &sessions {
                self.endpoint.end(session).await?;
            }
            match withdrawn == 0 && sessions.is_empty() && !offer.is_reserving() {
                true => empty += 1,
                false => empty = 0,
            }
            if empty == EMPTY_LOOKS || Instant::now() > end {
                return Ok(());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// Holds a claim. When it is dropped, what was claimed is given back, and that is waited for.
#[derive(Debug)]
pub(super) struct Held {
    claim: Claim,
    /// The folder of the stage whose it is.
    stage: PathBuf,
}

impl Held {
    /// To be held before a session is asked for.
    pub(super) fn new(endpoint: &Endpoint, name: String, stage: &Path) -> Held {
        let claim = Claim {
            endpoint: endpoint.clone(),
            name,
            session: None,
            node: None,
        };
        let held = Held {
            claim,
            stage: stage.to_owned(),
        };
        held.tell();
        held
    }

    /// There is a session now.
    pub(super) fn has(&mut self, session: &str, node: Option<Endpoint>) {
        self.claim.session = Some(session.to_owned());
        self.claim.node = node;
        self.tell();
    }

    /// Gives it back.
    ///
    /// # Errors
    /// As [`Claim::give_back`].
    pub(super) async fn give_back(self) -> Result<(), GridError> {
        let given = self.claim.give_back().await;
        // What is not given back now is not given back by asking once more.
        self.forget();
        given
    }

    fn tell(&self) {
        let mut held = held();
        held.retain(|one| one.name != self.claim.name);
        held.push(self.claim.clone());
        watchdog::watch_claim(&self.stage, &self.claim);
    }

    fn forget(&self) {
        held().retain(|one| one.name != self.claim.name);
        watchdog::forget_claim(&self.stage, &self.claim);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if held().iter().any(|one| one.name == self.claim.name) {
            give_back_all(std::slice::from_ref(&self.claim));
            self.forget();
        }
    }
}

fn held() -> MutexGuard<'static, Vec<Claim>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives back all that this program has claimed, at once: it is about to exit.
pub(in crate::stage) fn end_claims() {
    let claims = std::mem::take(&mut *held());
    give_back_all(&claims);
}

/// Gives claims back, wherever that is called, and says which are not. Gives how many were.
pub(in crate::stage) fn give_back_all(claims: &[Claim]) -> usize {
    if claims.is_empty() {
        return 0;
    }
    // A runtime of its own: who drops something may be in another one, which cannot be waited in.
    let giving = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let all = futures_util::future::join_all(claims.iter().map(Claim::give_back));
        let given = runtime.block_on(async { tokio::time::timeout(ALL, all).await });
        Ok::<_, std::io::Error>(given.unwrap_or_default())
    };
    let given = std::thread::scope(|scope| scope.spawn(giving).join());
    let Ok(Ok(given)) = given else { return 0 };
    for error in given.iter().filter_map(|given| given.as_ref().err()) {
        crate::stage::live::tell(&format!(
            "gymcheck: a session may be left on a grid: {error}"
        ));
    }
    given.iter().filter(|given| given.is_ok()).count()
}
