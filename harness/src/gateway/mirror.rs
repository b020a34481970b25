//! Third-party assets of the page, answered from disk instead of from their public addresses.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{self, HeaderValue};
use tokio::sync::OnceCell;
use url::Url;

use super::answer::{self, Answer};
use crate::provision::{Cdn, Recorded};

/// Where the mirror stands on each player's origin. Behind it come a public host and its path.
pub(super) const PREFIX: &str = "/__gymcheck/mirror/";

/// Public hosts to whose addresses scripts lead that the page itself does not name.
const USUAL_HOSTS: [&str; 8] = [
    "ajax.googleapis.com",
    "cdn.jsdelivr.net",
    "cdn.socket.io",
    "cdnjs.cloudflare.com",
    "code.jquery.com",
    "fonts.googleapis.com",
    "fonts.gstatic.com",
    "unpkg.com",
];

/// One asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorEntry {
    /// Its public address. With a query it answers that query alone, without one any.
    pub url: String,
    /// The file that holds it.
    pub path: PathBuf,
    /// Its media type.
    pub media_type: String,
}

/// The third-party assets that are at hand. Cheap to clone: all clones share what was read.
#[derive(Debug, Clone, Default)]
pub struct Mirror {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// By public address without its scheme.
    assets: HashMap<String, Asset>,
    hosts: BTreeSet<String>,
    /// Who is asked for what is not at hand; nobody, unless the user wants it.
    cdn: Option<Cdn>,
}

/// An asset, read when it is first asked for.
#[derive(Debug)]
pub(super) struct Asset {
    pub(super) path: PathBuf,
    media_type: String,
    bytes: OnceCell<Bytes>,
}

impl Mirror {
    /// A mirror of these assets.
    #[must_use]
    pub fn new(entries: Vec<MirrorEntry>) -> Mirror {
        Mirror::with(entries, None)
    }

    /// A mirror of these assets, which takes all others from the network and keeps them.
    #[must_use]
    pub fn with_cdn(entries: Vec<MirrorEntry>, cdn: Cdn) -> Mirror {
        Mirror::with(entries, Some(cdn))
    }

    fn with(entries: Vec<MirrorEntry>, cdn: Option<Cdn>) -> Mirror {
        let mut shared = Shared::default();
        if cdn.is_some() {
            shared.hosts.extend(USUAL_HOSTS.map(str::to_owned));
        }
        shared.cdn = cdn;
        for entry in entries {
            let address = without_scheme(&entry.url);
            let host = address.split_once('/').map_or(&*address, |(host, _)| host);
            shared.hosts.insert(host.to_owned());
            let asset = Asset {
                path: entry.path,
                media_type: entry.media_type,
                bytes: OnceCell::new(),
            };
            shared.assets.insert(address, asset);
        }
        Mirror {
            shared: Arc::new(shared),
        }
    }

    /// The asset at a public address (without scheme): the one for this very query, or the one for
    /// any.
    pub(super) fn find(&self, address: &str) -> Option<&Asset> {
        let assets = &self.shared.assets;
        let any_query = || assets.get(address.split_once('?')?.0);
        assets.get(address).or_else(any_query)
    }

    /// Who is asked for what is not at hand.
    #[must_use]
    pub fn cdn(&self) -> Option<&Cdn> {
        self.shared.cdn.as_ref()
    }

    /// The public address (without scheme) and the file of each asset.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        let assets = self.shared.assets.iter();
        assets.map(|(address, asset)| (address.as_str(), asset.path.as_path()))
    }

    /// Where a player's page finds what stands at a public address (without scheme).
    #[must_use]
    pub fn path_of(address: &str) -> String {
        format!("{PREFIX}{address}")
    }

    /// Whether it has at hand what stands at a public address, as that is written in a page.
    #[must_use]
    pub fn answers(&self, address: &str) -> bool {
        let rest = mirrored(address);
        let rest = rest.as_ref().and_then(|path| path.strip_prefix(PREFIX));
        rest.is_some_and(|address| {
            self.find(&without_scheme(&format!("https://{address}")))
                .is_some()
        })
    }

    /// A script with the addresses on mirrored hosts led to the mirror on an origin.
    ///
    /// The new addresses are absolute, as the old ones are: a worker made from a blob has no
    /// address of its own that a relative one could count from.
    pub(super) fn rewrite_script(&self, script: &str, origin: &str) -> String {
        let rewrite = |script: String, host: &String| {
            let mirrored = format!("{origin}{PREFIX}{host}/");
            script.replace(&format!("https://{host}/"), &mirrored)
        };
        self.shared.hosts.iter().fold(script.to_owned(), rewrite)
    }
}

impl Asset {
    /// The answer to a request for it. Its address names its version: a browser may keep it for
    /// good.
    pub(super) async fn answer(&self) -> std::io::Result<Answer> {
        Ok(answer_of(self.bytes().await?, &self.media_type))
    }

    async fn bytes(&self) -> std::io::Result<Bytes> {
        let read = || async { tokio::fs::read(&self.path).await.map(Bytes::from) };
        self.bytes.get_or_try_init(read).await.cloned()
    }
}

fn answer_of(content: Bytes, media_type: &str) -> Answer {
    let mut answer = Response::new(answer::full(content));
    let headers = answer.headers_mut();
    if let Ok(media_type) = HeaderValue::from_str(media_type) {
        headers.insert(header::CONTENT_TYPE, media_type);
    }
    let for_good = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, for_good);
    let anyone = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
    answer
}

/// The answer with a file that came from a public host. Where a stylesheet or a script names public hosts,
/// that leads to the mirror on an origin.
pub(super) async fn answer_recorded(
    mirror: &Mirror,
    recorded: &Recorded,
    origin: &str,
) -> std::io::Result<Answer> {
    let content = tokio::fs::read(&recorded.path).await?;
    let kind = recorded.media_type.split(';').next().unwrap_or_default();
    let is_text = kind.trim() == "text/css" || kind.trim().ends_with("javascript");
    let content = match String::from_utf8(content) {
        Ok(text) if is_text => mirror.rewrite_script(&text, origin).into(),
        Ok(text) => text.into(),
        Err(error) => error.into_bytes().into(),
    };
    Ok(answer_of(content, &recorded.media_type))
}

/// Where the mirror answers for a public address as it stands in a page. `None` for an address that
/// does not leave this machine.
pub(super) fn mirrored(address: &str) -> Option<String> {
    let address = address.trim();
    let rest = ["https://", "http://", "//"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme))?;
    let url = Url::parse(&format!("https://{rest}")).ok()?;
    (!is_loopback(&url)).then(|| format!("{PREFIX}{rest}"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An address as a browser would write it, without scheme and fragment.
fn without_scheme(address: &str) -> String {
    let written = Url::parse(address).map_or_else(
        |_| address.to_owned(),
        |mut url| {
            url.set_fragment(None);
            url.into()
        },
    );
    match written.split_once("://") {
        Some((_, rest)) => rest.to_owned(),
        None => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(url: &str) -> MirrorEntry {
        MirrorEntry {
            url: url.into(),
            path: url.into(),
            media_type: "text/javascript".into(),
        }
    }

    fn found(mirror: &Mirror, address: &str) -> Option<PathBuf> {
        mirror.find(address).map(|asset| asset.path.clone())
    }

    #[test]
    fn an_asset_is_found_with_its_query_or_with_any() {
        let exact = "https://fonts.example/css2?family=Press+Start+2P:wght@400;700&display=swap";
        let mirror = Mirror::new(vec![entry(exact), entry("https://cdn.example/a.js")]);
        let address = exact.strip_prefix("https://").expect("https");
        assert_eq!(found(&mirror, address), Some(exact.into()));
        assert_eq!(found(&mirror, "fonts.example/css2"), None);
        assert!(found(&mirror, "cdn.example/a.js").is_some());
        assert!(found(&mirror, "cdn.example/a.js?v=2").is_some());
        assert_eq!(found(&mirror, "cdn.example/b.js"), None);
        assert!(mirror.answers(exact) && mirror.answers("//cdn.example/a.js"));
        assert!(!mirror.answers("https://cdn.example/b.js"));
    }

    #[test]
    fn only_public_addresses_lead_to_the_mirror() {
        let public = mirrored("https://cdn.example/a.js?v=1");
        assert_eq!(
            public.as_deref(),
            Some("/__gymcheck/mirror/cdn.example/a.js?v=1")
        );
        assert!(mirrored("//cdn.example/a.js").is_some());
        assert_eq!(mirrored("/static/js/index.js"), None);
        assert_eq!(mirrored("static/js/index.js"), None);
        assert_eq!(mirrored("http://127.0.0.1:5702/a.js"), None);
        assert_eq!(mirrored("http://localhost/a.js"), None);
        assert_eq!(mirrored("data:text/plain,a"), None);
    }

    #[test]
    fn a_script_names_the_mirror_instead_of_mirrored_hosts() {
        let mirror = Mirror::new(vec![entry("https://cdn.example/ort/ort.min.js")]);
        let script = "load('https://cdn.example/ort/' + name); see('https://other.example/')";
        assert_eq!(
            mirror.rewrite_script(script, "http://127.0.0.1:9"),
            "load('http://127.0.0.1:9/__gymcheck/mirror/cdn.example/ort/' + name); \
             see('https://other.example/')"
        );
    }
}
