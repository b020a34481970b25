//! Public addresses answered from the network itself, for those whose machine reaches it and who ask for it:
//! each is taken once, recorded in the user's folder with its digest, and answered from there afterwards.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use super::error::ProvisionError;
use super::files;
use super::home::Home;

/// Where in the home folder that is kept which was taken from public hosts.
pub(super) const FOLDER: &str = "cdn";

/// How long one file may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// The largest file that is taken.
const LARGEST: u64 = 256 << 20;

/// Takes files from public hosts, and keeps them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cdn {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: reqwest::Client,
    folder: PathBuf,
    /// What answers instead of public hosts: each address without its scheme stands behind it.
    stand_in: Option<String>,
    /// One taker for each address; the others wait for it.
    takers: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A file of a public host, as it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Its public address.
    pub url: String,
    /// As the host said it.
    pub media_type: String,
    /// Of its content.
    pub size: u64,
    /// Of its content.
    pub sha256: String,
    /// Whether it was taken from the network just now.
    #[serde(skip)]
    pub fresh: bool,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
}

/// Why an address is not answered.
#[derive(Debug, Error)]
pub enum CdnError {
    /// It is none of a public host.
    #[error("{url} is no address of a public host")]
    NotPublic {
        /// The address.
        url: String,
    },
    /// The host is not reached, or breaks off.
    #[error("{url} cannot be taken from the network; without --assets cdn it is resolved by rule")]
    Unreachable {
        /// The address.
        url: String,
        /// What was wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host has no such file.
    #[error("{url} is answered with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// What is kept is damaged, and the host now has something else.
    #[error(
        "{url} was recorded with sha256 {recorded}, which {} no longer has, and the network has {found}; remove \
         {} to record it anew",
        path.display(), path.with_extension("toml").display()
    )]
    Changed {
        /// The address.
        url: String,
        /// The file.
        path: PathBuf,
        /// Its digest when it was recorded.
        recorded: String,
        /// The digest of what the host has now.
        found: String,
    },
    /// What was taken cannot be kept.
    #[error(transparent)]
    Keep(#[from] ProvisionError),
}

impl Cdn {
    /// The public hosts themselves.
    ///
    /// # Errors
    /// This machine's certificates cannot be used.
    pub fn public(home: &Home) -> Result<Cdn, CdnError> {
        // That another part of the program has chosen is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Cdn::with(reqwest::Client::builder().https_only(true), home, None)
    }

    /// What answers at an address on this machine instead of public hosts, for trying this out: it is asked
    /// for `base/HOST/PATH`.
    ///
    /// # Errors
    /// As [`Cdn::public`].
    pub fn stand_in(home: &Home, base: &str) -> Result<Cdn, CdnError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Cdn::with(reqwest::Client::builder().no_proxy(), home, Some(base))
    }

    fn with(
        client: reqwest::ClientBuilder,
        home: &Home,
        stand_in: Option<&str>,
    ) -> Result<Cdn, CdnError> {
        let client = client.timeout(DEADLINE).build();
        let client = client.map_err(|error| CdnError::Unreachable {
            url: "a public host".to_owned(),
            source: error.into(),
        })?;
        Ok(Cdn {
            shared: Arc::new(Shared {
                client,
                folder: home.root().join(FOLDER),
                stand_in: stand_in.map(str::to_owned),
                takers: Mutex::default(),
            }),
        })
    }

    /// The file at a public address: as it was recorded, or else from the network. `browser` is what the
    /// browser that asks calls itself: some hosts answer accordingly.
    ///
    /// # Errors
    /// The network does not give it, or it cannot be kept.
    pub async fn get(&self, address: &str, browser: Option<&str>) -> Result<Recorded, CdnError> {
        let url = public(address)?;
        let taker = {
            let mut takers = self
                .shared
                .takers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(takers.entry(url.to_string()).or_default())
        };
        let _taking = taker.lock().await;
        let path = self.path_of(&url);
        let before = recorded(&path, &url)?;
        if let Some(before) = &before
            && files::sha256_of(&path)?.as_ref() == Some(&before.sha256)
        {
            return Ok(before.clone());
        }
        let (media_type, content) = self.take(&url, browser).await?;
        let found = files::sha256(&content);
        if let Some(before) = before.filter(|before| before.sha256 != found) {
            return Err(CdnError::Changed {
                url: url.into(),
                path,
                recorded: before.sha256,
                found,
            });
        }
        keep(url, media_type, &content, path)
    }

    async fn take(&self, url: &Url, browser: Option<&str>) -> Result<(String, Vec<u8>), CdnError> {
        let unreachable =
            |source: Box<dyn std::error::Error + Send + Sync>| CdnError::Unreachable {
                url: url.to_string(),
                source,
            };
        let mut request = self.shared.client.get(self.asked(url));
        if let Some(browser) = browser {
            request = request.header(USER_AGENT, browser);
        }
        let mut answer = request
            .send()
            .await
            .map_err(|error| unreachable(error.into()))?;
        if !answer.status().is_success() {
            return Err(CdnError::Status {
                url: url.to_string(),
                status: answer.status().as_u16(),
            });
        }
        let media_type = answer.headers().get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or("application/octet-stream").to_owned();
        let mut content = Vec::new();
        while let Some(part) = answer
            .chunk()
            .await
            .map_err(|error| unreachable(error.into()))?
        {
            content.extend_from_slice(&part);
            if content.len() as u64 > LARGEST {
                return Err(unreachable(
                    format!("it is larger than {} MiB", LARGEST >> 20).into(),
                ));
            }
        }
        Ok((media_type, content))
    }

    /// The address that is really asked.
    fn asked(&self, url: &Url) -> String {
        match &self.shared.stand_in {
            None => url.to_string(),
            Some(base) => url
                .as_str()
                .replacen("https:/", base.trim_end_matches('/'), 1),
        }
    }

    /// Where the file of an address is kept. Its name says nothing: addresses hold anything.
    fn path_of(&self, url: &Url) -> PathBuf {
        let digest = files::sha256(url.as_str().as_bytes());
        self.shared.folder.join(format!("{}.data", &digest[..32]))
    }
}

/// The address with `https`, if it is that of a host with a public name.
fn public(address: &str) -> Result<Url, CdnError> {
    let not_public = || CdnError::NotPublic {
        url: address.to_owned(),
    };
    let rest = address.strip_prefix("https://").unwrap_or(address);
    let mut url = Url::parse(&format!("https://{rest}")).map_err(|_| not_public())?;
    url.set_fragment(None);
    let named = match url.host() {
        Some(url::Host::Domain(name)) => {
            let local = [".localhost", ".local", ".internal"];
            name.contains('.') && !local.iter().any(|ending| name.ends_with(ending))
        }
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) | None => false,
    };
    let plain = url.port().is_none() && url.username().is_empty() && url.password().is_none();
    (named && plain).then_some(url).ok_or_else(not_public)
}

/// What is known of a file that was recorded.
fn recorded(path: &Path, url: &Url) -> Result<Option<Recorded>, ProvisionError> {
    let about = path.with_extension("toml");
    let text = match fs::read_to_string(&about) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(ProvisionError::io("read", &about))?,
    };
    let known: Recorded = toml::from_str(&text).map_err(|source| ProvisionError::UserLock {
        path: about,
        source: Box::new(source),
    })?;
    Ok((known.url == url.as_str()).then(|| Recorded {
        path: path.to_owned(),
        ..known
    }))
}

fn keep(url: Url, media_type: String, content: &[u8], path: PathBuf) -> Result<Recorded, CdnError> {
    let recorded = Recorded {
        url: url.into(),
        media_type,
        size: content.len() as u64,
        sha256: files::sha256(content),
        fresh: true,
        path,
    };
    let about = recorded.path.with_extension("toml");
    let text = toml::to_string(&recorded)
        .map_err(|error| ProvisionError::io("write", &about)(std::io::Error::other(error)))?;
    // Without what is said of it the file does not count, so that comes last.
    files::write_whole(&recorded.path, content)?;
    files::write_whole(&about, text.as_bytes())?;
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::{StatusCode, Uri};

    use super::*;

    /// A server that stands for the public hosts, and how often it was asked.
    async fn hosts(content: &'static str) -> (String, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answer = move |uri: Uri| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                match uri.path() {
                    "/cdn.example.org/a.js" => (StatusCode::OK, format!("{content}{uri}")),
                    _ => (StatusCode::NOT_FOUND, String::new()),
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(answer))
                .await
                .unwrap();
        });
        (base, asked)
    }

    #[tokio::test]
    async fn a_file_is_taken_once_and_then_answered_from_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let (base, asked) = hosts("run()").await;
        let cdn = Cdn::stand_in(&home, &base).unwrap();
        let (first, second) = tokio::join!(
            cdn.get("cdn.example.org/a.js?v=1", None),
            cdn.get("https://cdn.example.org/a.js?v=1#here", None)
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.fresh && !second.fresh);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(first.url, "https://cdn.example.org/a.js?v=1");
        assert!(first.media_type.starts_with("text/plain"));
        assert_eq!(
            fs::read_to_string(&first.path).unwrap(),
            "run()/cdn.example.org/a.js?v=1"
        );
        // Another call, which reaches nobody.
        let later = Cdn::stand_in(&home, "http://127.0.0.1:1").unwrap();
        let third = later.get("cdn.example.org/a.js?v=1", None).await.unwrap();
        assert_eq!((third.sha256, third.fresh), (first.sha256, false));
        let error = later.get("cdn.example.org/b.js", None).await.unwrap_err();
        assert!(matches!(error, CdnError::Unreachable { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let (base, asked) = hosts("").await;
        let cdn = Cdn::stand_in(&Home::at(folder.path()), &base).unwrap();
        for times in 1..=2 {
            let error = cdn.get("cdn.example.org/none.js", None).await.unwrap_err();
            assert!(
                matches!(error, CdnError::Status { status: 404, .. }),
                "{error}"
            );
            assert_eq!(asked.load(Ordering::SeqCst), times);
        }
    }

    #[tokio::test]
    async fn a_damaged_record_is_taken_again_if_the_network_still_has_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let (base, _) = hosts("one").await;
        let cdn = Cdn::stand_in(&home, &base).unwrap();
        let first = cdn.get("cdn.example.org/a.js", None).await.unwrap();
        fs::write(&first.path, "damaged").unwrap();
        let again = cdn.get("cdn.example.org/a.js", None).await.unwrap();
        assert_eq!((&again.sha256, again.fresh), (&first.sha256, true));
        fs::write(&first.path, "damaged").unwrap();
        let (base, _) = hosts("two").await;
        let changed = Cdn::stand_in(&home, &base).unwrap();
        let error = changed.get("cdn.example.org/a.js", None).await.unwrap_err();
        assert!(matches!(error, CdnError::Changed { .. }), "{error}");
        assert!(error.to_string().contains("remove"), "{error}");
    }

    #[test]
    fn only_hosts_with_public_names_are_asked() {
        for address in [
            "127.0.0.1/a",
            "localhost/a",
            "[::1]/a",
            "10.0.0.1/a",
            "printer/a",
            "printer.local/a",
            "user@cdn.example.org/a",
            "cdn.example.org:8443/a",
            "",
        ] {
            assert!(public(address).is_err(), "{address}");
        }
        assert!(public("cdn.example.org/a").is_ok());
    }
}
