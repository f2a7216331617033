//! Who asks, and whether they may: bearer tokens with scopes, and a line in the audit log for every change.

use super::origin;
use crate::daemon::Daemon;
use crate::daemon::clock;
use crate::daemon::problem::{Code, Problem};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// What a token allows; each allows what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::daemon) enum Scope {
    /// To look.
    Read,
    /// To pause, resume, stop and restart.
    Operate,
    /// To push plugins, to apply, upgrade, roll back and delete pipelines.
    Deploy,
    /// Everything.
    Admin,
}

const SCOPES: [(&str, Scope); 4] =
    [("read", Scope::Read), ("operate", Scope::Operate), ("deploy", Scope::Deploy), ("admin", Scope::Admin)];

/// The tokens of the daemon, hashed.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Tokens(Vec<Token>);

#[derive(Debug)]
struct Token {
    name: String,
    scope: Scope,
    sha256: [u8; 32],
}

impl Tokens {
    /// Reads a file with a line `NAME SCOPE SHA256` for each token; empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// The file cannot be read, has no token, or a line is wrong; what was expected is said.
    pub(in crate::daemon) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}{error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let words: Vec<_> = line.split_whitespace().collect();
            let token = match words[..] {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                [name, scope, hash] => {
                    let scope = SCOPES.iter().find(|it| it.0 == scope).map(|it| it.1);
                    scope.zip(unhex(hash)).map(|(scope, sha256)| Token { name: name.to_owned(), scope, sha256 })
                }
                _ => None,
            };
            tokens.push(token.ok_or_else(|| {
                format!(
                    ":{}: expected a name, a scope (read, operate, deploy or admin) and the sha256 of the token in 64 \
                     hexadecimal digits",
                    index + 1
                )
            })?);
        }
        if tokens.is_empty() {
            Err(": has no token, expected at least one line".to_owned())
        } else {
            Ok(Tokens(tokens))
        }
    }

    /// Whose token it is. Takes the same time for every token of a length.
    fn find(&self, token: &str) -> Option<(&str, Scope)> {
        let found: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let same = |it: &Token| it.sha256.iter().zip(&found).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        // Every token is compared, whichever fits.
        self.0.iter().fold(None, |fits, it| if same(it) { Some((it.name.as_str(), it.scope)) } else { fits })
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Who asks.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Caller {
    /// The token's name, or where the request came from.
    pub(in crate::daemon) name: String,
    /// None for nobody that is known.
    pub(in crate::daemon) scope: Option<Scope>,
}

/// Where a connection came from.
#[derive(Clone, Copy, Debug)]
pub(in crate::daemon) struct Peer(pub(in crate::daemon) SocketAddr);

/// Lets a request pass, or refuses it, and writes down what changed something.
pub(super) async fn guard(State(daemon): State<Arc<Daemon>>, mut request: Request, next: Next) -> Response {
    let caller = caller(&daemon, request.headers(), request.extensions().get::<Peer>());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().map(|it| format!("?{it}")).unwrap_or_default();
    let response = match allow(&daemon, &caller, request.headers(), &method, &path) {
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    if !is_look(&method) {
        audit(&daemon, &caller.name, &method, &format!("{path}{query}"), response.status().as_u16());
    }
    response
}

fn is_look(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn caller(daemon: &Daemon, headers: &HeaderMap, peer: Option<&Peer>) -> Caller {
    let address = peer.map_or_else(|| "nobody".to_owned(), |it| it.0.ip().to_string());
    let Some(tokens) = daemon.tokens() else { return Caller { name: address, scope: Some(Scope::Admin) } };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let token = bearer.and_then(|it| it.split_once(' ')).filter(|it| it.0.eq_ignore_ascii_case("bearer"));
    match token.and_then(|it| tokens.find(it.1.trim())) {
        Some((name, scope)) => Caller { name: name.to_owned(), scope: Some(scope) },
        None => Caller { name: address, scope: None },
    }
}

/// Whether what is posted to an address changes which code runs.
fn deploys(path: &str) -> bool {
    ["/upgrade", "/rollback", "/shadow", "/shadow/promote"].iter().any(|it| path.ends_with(it))
}

fn allow(daemon: &Daemon, caller: &Caller, headers: &HeaderMap, method: &Method, path: &str) -> Result<(), Problem> {
    if daemon.tokens().is_none() {
        origin::check(headers, daemon.settings().listen.ip().is_loopback())?;
    }
    if matches!(path, "/livez" | "/readyz") {
        return Ok(()); // A supervisor has no token; what they tell is little.
    }
    let needed = match *method {
        _ if is_look(method) => Scope::Read,
        Method::POST if !deploys(path) => Scope::Operate,
        _ => Scope::Deploy,
    };
    let name = SCOPES.iter().find(|it| it.1 == needed).map_or("admin", |it| it.0);
    match caller.scope {
        Some(scope) if scope >= needed => {}
        Some(_) => {
            let detail = format!("the token of `{}` does not have the scope `{name}`; use one that has", caller.name);
            return Err(Problem::new(Code::Forbidden, detail));
        }
        None => {
            let detail =
                format!("expected `Authorization: Bearer TOKEN` with a token of the scope `{name}`; set WASMILL_TOKEN");
            return Err(Problem::new(Code::Unauthorized, detail));
        }
    }
    if daemon.is_stopping() && !is_look(method) {
        return Err(Problem::new(Code::Stopping, "the daemon is stopping; try again when it runs"));
    }
    Ok(())
}

/// Writes down who asked for which change, and what came of it.
fn audit(daemon: &Daemon, who: &str, method: &Method, path: &str, status: u16) {
    tracing::info!(target: "wasmill::audit", who, method = method.as_str(), path, status, "asked for a change");
    let at = clock::now().to_string();
    let line = serde_json::json!({"at": at, "who": who, "method": method.as_str(), "path": path, "status": status});
    let write = || -> io::Result<()> {
        let file = daemon.settings().data_dir.join("audit.jsonl");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file)?;
        file.write_all(format!("{line}\n").as_bytes())
    };
    if let Err(error) = write() {
        tracing::error!("cannot write to the audit log: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let hash: String = Sha256::digest(b"secret").iter().map(|it| format!("{it:02x}")).collect();
        let tokens = Tokens::parse(&format!("# who may what\n\nci deploy {hash}\n")).unwrap();
        assert_eq!(tokens.find("secret"), Some(("ci", Scope::Deploy)));
        assert_eq!(tokens.find("secret "), None);
        assert!(!format!("{tokens:?}").contains("secret"));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["ci deploy", "ci root 00", "ci deploy 00", "# nothing"] {
            assert!(Tokens::parse(wrong).unwrap_err().contains("expected"), "{wrong:?}");
        }
    }
}
