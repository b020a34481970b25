//! What a page's Content-Security-Policy must let through: the probe's script, its line to the gateway, and
//! what the mirror has in the place of public files.

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue};

use super::mirror;

/// Has each policy of an answer let in scripts of this nonce, WebSockets to the gateway at `origin`, and its
/// mirror where it lets in a public host. All else is as strict as it was. Whether there is a policy.
pub(super) fn let_in(headers: &mut HeaderMap, nonce: &str, origin: &str) -> bool {
    let told: Vec<_> = headers
        .get_all(CONTENT_SECURITY_POLICY)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    if told.is_empty() {
        return false;
    }
    let policies = told.iter().flat_map(|told| told.split(','));
    let opened: Vec<_> = policies
        .map(|policy| opened(policy, nonce, origin))
        .collect();
    // What came as the value of a field makes one again.
    if let Ok(value) = HeaderValue::try_from(opened.join(", ")) {
        headers.insert(CONTENT_SECURITY_POLICY, value);
    }
    true
}

/// One rule of a policy.
struct Directive {
    name: String,
    sources: Vec<String>,
}

fn opened(policy: &str, nonce: &str, origin: &str) -> String {
    let mut directives: Vec<_> = policy.split(';').filter_map(Directive::read).collect();
    let mirror = format!("{origin}{}", mirror::PREFIX);
    for directive in &mut directives {
        if directive.sources.iter().any(|source| is_public(source)) {
            directive.sources.push(mirror.clone());
        }
    }
    let nonce = format!("'nonce-{nonce}'");
    let scripts = ["script-src-elem", "script-src", "default-src"];
    admit(&mut directives, &scripts, &nonce, lets_in_inline_scripts);
    let connections = ["connect-src", "default-src"];
    let line = origin.replacen("http", "ws", 1);
    admit(&mut directives, &connections, &line, |_| false);
    let told: Vec<_> = directives.iter().map(Directive::told).collect();
    told.join("; ")
}

/// Adds a source to the directive that counts, the first one that is there, if it does not let it in already.
/// The last one is for all else as well, and stays as it is.
fn admit(
    directives: &mut Vec<Directive>,
    names: &[&str],
    source: &str,
    lets_in: impl Fn(&[String]) -> bool,
) {
    let found = names.iter().find_map(|name| {
        let is_it = |directive: &Directive| directive.name == *name;
        directives.iter().position(is_it)
    });
    let Some(at) = found else { return };
    let [.., own, last] = names else { return };
    if lets_in(&directives[at].sources) {
        return;
    }
    let mut sources = directives[at].sources.clone();
    sources.retain(|source| !source.eq_ignore_ascii_case("'none'"));
    sources.push(source.to_owned());
    if directives[at].name == *last {
        let name = (*own).to_owned();
        directives.push(Directive { name, sources });
    } else {
        directives[at].sources = sources;
    }
}

/// Whether a source is a host of the network, or all of them.
fn is_public(source: &str) -> bool {
    source.contains('.') || source.eq_ignore_ascii_case("https:")
}

/// Whether any script that stands in the page is let in. Where some are named, no other one is.
fn lets_in_inline_scripts(sources: &[String]) -> bool {
    let names_some = |source: &str| {
        let kinds = ["'nonce-", "'sha256-", "'sha384-", "'sha512-"];
        source == "'strict-dynamic'" || kinds.iter().any(|kind| source.starts_with(kind))
    };
    let mut sources = sources.iter().map(|source| source.to_ascii_lowercase());
    sources.clone().any(|source| source == "'unsafe-inline'")
        && !sources.any(|source| names_some(&source))
}

impl Directive {
    fn read(text: &str) -> Option<Directive> {
        let mut words = text.split_ascii_whitespace().map(str::to_owned);
        let name = words.next()?.to_ascii_lowercase();
        let sources = words.collect();
        Some(Directive { name, sources })
    }

    fn told(&self) -> String {
        let words = std::iter::once(&self.name).chain(&self.sources);
        let words: Vec<&str> = words.map(String::as_str).collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_lets_the_probe_in_and_nothing_else() {
        let cases = [
            ("img-src 'self'", "img-src 'self'"),
            (
                "Script-Src 'none'; connect-src 'self'",
                "script-src 'nonce-n'; connect-src 'self' ws://here",
            ),
            (
                "default-src 'self'",
                "default-src 'self'; script-src 'self' 'nonce-n'; connect-src 'self' ws://here",
            ),
            (
                "script-src a.com; script-src-elem 'self'; img-src https: data:",
                "script-src a.com http://here/__gymcheck/mirror/; script-src-elem 'self' 'nonce-n'; img-src https: data: http://here/__gymcheck/mirror/",
            ),
            // Beside a nonce `unsafe-inline` counts for nothing: the page's own scripts would be shut out.
            ("script-src 'unsafe-inline'", "script-src 'unsafe-inline'"),
            (
                "script-src 'unsafe-inline' 'nonce-own'",
                "script-src 'unsafe-inline' 'nonce-own' 'nonce-n'",
            ),
            (
                "script-src 'self', script-src 'none';;",
                "script-src 'self' 'nonce-n', script-src 'nonce-n'",
            ),
        ];
        for (policy, expected) in cases {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_static(policy);
            headers.insert(CONTENT_SECURITY_POLICY, value);
            assert!(let_in(&mut headers, "n", "http://here"));
            assert_eq!(headers[CONTENT_SECURITY_POLICY], expected);
        }
        let mut headers = HeaderMap::new();
        assert!(!let_in(&mut headers, "n", "http://here"));
        assert!(headers.is_empty());
    }

    #[test]
    fn each_policy_of_an_answer_counts() {
        let mut headers = HeaderMap::new();
        for policy in ["script-src 'self'", "img-src 'self'"] {
            let value = HeaderValue::from_static(policy);
            headers.append(CONTENT_SECURITY_POLICY, value);
        }
        assert!(let_in(&mut headers, "n", "http://here"));
        let told: Vec<_> = headers.get_all(CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(told, ["script-src 'self' 'nonce-n', img-src 'self'"]);
    }
}
