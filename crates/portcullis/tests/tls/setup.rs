//! A gateway that speaks TLS in front of an origin that answers everything.

use portcullis_testkit::{Answer, Authority, CurlFailure, Identity, Nginx, curl, try_curl};

use crate::support::{Running, Setup};

/// An origin with `/a.txt`.
pub(crate) fn origin() -> Nginx {
    Nginx::serving("/a.txt", "hello").start()
}

/// A gateway in front of `origin` whose listener holds `tls` below `[listeners.tls]`.
pub(crate) fn setup(origin: &Nginx, tls: &str) -> Setup {
    Setup::open(origin.address()).listener(&format!("[listeners.tls]\n{tls}"))
}

/// The same with the certificates of these identities, the first being the default.
pub(crate) fn serving(origin: &Nginx, identities: &[&Identity], more: &str) -> Setup {
    let files: Vec<_> = (0..identities.len())
        .map(|index| format!("{{ certificate = \"s{index}.pem\", key = \"s{index}.key\" }}"))
        .collect();
    let setup = setup(origin, &format!("certificates = [{}]\n{more}", files.join(", ")));
    for (index, identity) in identities.iter().enumerate() {
        identity.write(&setup.place.path(""), &format!("s{index}"));
    }
    setup
}

/// Calls `/a.txt` as `localhost`, trusting `root`; `arguments` are curl's.
#[track_caller]
pub(crate) fn call(running: &Running, root: &Authority, arguments: &[&str]) -> Answer {
    let roots = roots(running, root);
    curl(
        &[
            &["--cacert", &roots],
            arguments,
            &[&running.gateway.secure_url("/a.txt")],
        ]
        .concat(),
    )
}

/// The same where it may fail.
#[track_caller]
pub(crate) fn try_call(running: &Running, root: &Authority, arguments: &[&str]) -> Result<Answer, CurlFailure> {
    let roots = roots(running, root);
    try_curl(
        &[
            &["--cacert", &roots],
            arguments,
            &[&running.gateway.secure_url("/a.txt")],
        ]
        .concat(),
    )
}

fn roots(running: &Running, root: &Authority) -> String {
    running.place.write("roots.pem", root.pem()).display().to_string()
}
