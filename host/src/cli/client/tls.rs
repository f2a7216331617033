//! Whom to believe that an address with `https` is theirs.

use super::Failure;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Where systems keep the authorities that they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Believes the authorities of a PEM file: the one that was named, or else the system's.
pub(super) fn config(named: Option<&Path>) -> Result<TlsConfig, Failure> {
    let file = named.map(Path::to_owned).or_else(|| SYSTEM.iter().map(PathBuf::from).find(|it| it.is_file()));
    let file = file.ok_or_else(|| {
        Failure::Input(format!("none of {} is there: name a file of authorities with --ca", SYSTEM.join(", ")))
    })?;
    let wrong = |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", file.display()));
    let pem = std::fs::read(&file).map_err(|error| wrong(&error))?;
    let items = parse_pem(&pem).collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
    let certificates: Vec<_> = items
        .into_iter()
        .filter_map(|it| if let PemItem::Certificate(certificate) = it { Some(certificate) } else { None })
        .collect();
    if certificates.is_empty() {
        return Err(wrong(&"has no certificate, expected PEM"));
    }
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&certificates))
        .build())
}
