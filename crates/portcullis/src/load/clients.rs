//! Whom listeners let in by certificate: truststores and revocation lists, read with all findings at once.

use std::{collections::BTreeSet, sync::Arc};

use portcullis_core::{Findings, Timestamp};
use portcullis_net::tls::{Certificate, ClientMode, ClientPolicy, RevocationList, Truststore, TruststoreFault};
use portcullis_openapi::document::Located;

use super::tls::file;
use crate::config::ClientCertificates;

/// A truststore is read up to here.
const TRUSTSTORE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A revocation list is read up to here: a million certificates.
const LISTS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is asked of clients; `None` where something is missing.
pub(super) fn policy(
    clients: &ClientCertificates,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<Arc<ClientPolicy>> {
    if clients.mode == ClientMode::Any {
        return Some(Arc::new(ClientPolicy::any()));
    }
    let path = clients.truststore.as_ref()?;
    let truststore = truststore(path, now, findings);
    let lists: Vec<_> = clients
        .revocation_lists
        .iter()
        .map(|path| revocation_lists(path, clients, now, findings))
        .collect();
    let (truststore, lists) = (truststore?, lists.into_iter().collect::<Option<Vec<_>>>()?.concat());
    compare(&truststore, &lists, clients, findings);
    match truststore.policy(clients.mode == ClientMode::Require, &lists, clients.rules) {
        Ok(policy) => Some(Arc::new(policy)),
        Err(fault) => {
            refuse(path, fault, "truststore-unusable", findings);
            None
        }
    }
}

fn truststore(path: &Located<std::path::PathBuf>, now: Timestamp, findings: &mut Findings) -> Option<Truststore> {
    let bytes = file(&path.value, TRUSTSTORE_BYTES_MAX, &path.place, findings)?;
    let truststore = match Truststore::read(&bytes) {
        Ok(truststore) => truststore,
        Err(fault) => {
            refuse(path, fault, "truststore-unusable", findings);
            return None;
        }
    };
    for authority in truststore.authorities() {
        let doubt = match authority {
            Certificate { not_after, .. } if *not_after < now => Some((
                "truststore-expired",
                format!("has expired ({})", not_after.to_rfc3339()),
            )),
            Certificate {
                is_authority: false, ..
            } => Some(("truststore-no-authority", "is no certification authority's".to_owned())),
            _ => None,
        };
        if let Some((code, doubt)) = doubt {
            let message = format!(
                "`{}`: the certificate of `{}` {doubt}",
                path.value.display(),
                authority.subject
            );
            findings.warn(
                path.place.clone(),
                code,
                message,
                "take it out, or put another in its place",
            );
        }
    }
    Some(truststore)
}

fn revocation_lists(
    path: &Located<std::path::PathBuf>,
    clients: &ClientCertificates,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<Vec<RevocationList>> {
    let bytes = file(&path.value, LISTS_BYTES_MAX, &path.place, findings)?;
    let lists = match RevocationList::read(&bytes) {
        Ok(lists) => lists,
        Err(fault) => {
            refuse(path, fault, "revocation-list-unusable", findings);
            return None;
        }
    };
    for list in &lists {
        if let Some(due) = list.next_update.filter(|due| *due < now) {
            let follows = match clients.rules.outdated_count {
                true => "it counts all the same, as `outdated_revocation_lists` says",
                false => "certificates of its issuer are refused until there is a new one",
            };
            let message = format!(
                "`{}`: the revocation list of `{}` is out of date since {}: {follows}",
                path.value.display(),
                list.issuer,
                due.to_rfc3339()
            );
            findings.warn(
                path.place.clone(),
                "revocation-list-outdated",
                message,
                "fetch the list that follows it",
            );
        }
    }
    Some(lists)
}

/// Lists without an authority do nothing, and where there are lists, an authority without one can let nobody in.
fn compare(truststore: &Truststore, lists: &[RevocationList], clients: &ClientCertificates, findings: &mut Findings) {
    let subjects: BTreeSet<_> = truststore.authorities().map(|authority| &authority.subject).collect();
    for list in lists.iter().filter(|list| !subjects.contains(&list.issuer)) {
        let message = format!(
            "the revocation list of `{}` is of no authority in the truststore",
            list.issuer
        );
        findings.warn(
            clients.place.clone(),
            "revocation-list-unused",
            message,
            "add the authority, or remove the list",
        );
    }
    if lists.is_empty() {
        return;
    }
    let issuers: BTreeSet<_> = lists.iter().map(|list| &list.issuer).collect();
    for subject in subjects.into_iter().filter(|subject| !issuers.contains(subject)) {
        let message =
            format!("`{subject}` has no revocation list: the status of what it issues cannot be known, and is refused");
        let remedy =
            "add its list; for authorities that issue no clients `revocation_depth = \"end_entity\"` is enough";
        findings.warn(clients.place.clone(), "revocation-list-missing", message, remedy);
    }
}

fn refuse(path: &Located<std::path::PathBuf>, fault: TruststoreFault, code: &'static str, findings: &mut Findings) {
    let remedy = match fault {
        TruststoreFault::Certificate(..) | TruststoreFault::Unusable(_) => {
            "`openssl x509 -text -noout -in …` shows what it is; take out what is no authority's certificate"
        }
        TruststoreFault::Empty => "write the certificates or lists into it in PEM",
        TruststoreFault::List(_) => "`openssl crl -text -noout -in …` shows what it is; delta lists are not supported",
        TruststoreFault::NotPem => "copy it again, as a whole",
        TruststoreFault::TooMany => "is this the right file?",
    };
    findings.error(
        path.place.clone(),
        code,
        format!("`{}`: {fault}", path.value.display()),
        remedy,
    );
}
