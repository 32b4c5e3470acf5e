//! One run: a fresh proxy, checked, loaded, measured, ended.

use std::rc::Rc;

use crate::{
    failure::{Failure, Outcome},
    load::{self, Load, Tokens},
    peer::{Running, Setting, start_peer},
    row::{Peer, Row, Way},
    token::Keys,
    wire::Certificates,
};

/// How much load.
#[derive(Clone, Copy)]
pub(crate) struct Dose {
    /// Kept-alive connections.
    pub(crate) connections: usize,
    /// Requests before the measurement.
    pub(crate) warm_up: usize,
    /// Requests measured.
    pub(crate) requests: usize,
}

/// The figures of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// CPU time of the proxy per request in microseconds, user and system, all its processes and threads.
    pub(crate) cpu_us: f64,
    /// Requests per second.
    pub(crate) rate_per_s: f64,
    /// Median latency in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of latency in microseconds.
    pub(crate) p99_us: f64,
    /// Resident memory at the end in MiB.
    pub(crate) resident_mib: f64,
    /// Share of the requests that are in the access log.
    pub(crate) logged: f64,
}

/// Starts `peer`, sees that it does the work of `row`, loads it and ends it.
pub(crate) fn measure(
    peer: Peer,
    row: Row,
    tokens: &Option<(Keys, Rc<[String]>)>,
    origin: &Running,
    certificates: &Certificates,
    setting: &Setting,
    dose: Dose,
) -> Outcome<Figures> {
    let keys = tokens.as_ref().map(|(keys, _)| keys);
    let tokens = &tokens.as_ref().filter(|_| row.checks_tokens(peer));
    let proxy = start_peer(peer, row, keys, origin.address, setting)?;
    let asked = match row.way() {
        Way::Plain => check(peer, &proxy, tokens, setting)?,
        Way::Tls | Way::Http2 => check_tls(peer, row, &proxy, certificates, setting)?,
    };
    let tree = proxy.tree()?;
    let load = Load {
        address: proxy.address,
        connections: dose.connections,
        connector: certificates.connector(row, true)?,
        connects_each_time: row.connects_each_time(),
        is_http2: row.way() == Way::Http2,
        warm_up: dose.warm_up,
        requests: dose.requests,
        tokens: match tokens {
            None => Tokens::None,
            Some((_, tokens)) if row.is_new_each_time() => Tokens::PerRequest(Rc::clone(tokens)),
            Some((_, tokens)) => Tokens::PerConnection(Rc::clone(tokens)),
        },
        body: setting.body.as_bytes().into(),
    };
    let marked = tree.clone();
    let measured = load::run(load, move || marked.time())?;
    let cpu = measured.marks.1? - measured.marks.0?;
    let resident = tree.resident_bytes();
    let lines = proxy.stop()?;
    let requests = dose.requests as f64;
    let micros = |quantile: f64| measured.latency.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Figures {
        cpu_us: cpu.as_secs_f64() * 1e6 / requests,
        rate_per_s: requests / measured.elapsed.as_secs_f64(),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        resident_mib: resident as f64 / 1_048_576.0,
        logged: lines as f64 / (dose.warm_up + dose.requests + asked) as f64,
    })
}

/// Sees that the proxy answers what it should and refuses what it should; returns how many requests that took.
fn check(peer: Peer, proxy: &Running, tokens: &Option<&(Keys, Rc<[String]>)>, setting: &Setting) -> Outcome<usize> {
    let name = peer.name();
    let expect = |what: &str, token: Option<&str>, expected: u16| {
        let (status, body) = proxy.ask(token)?;
        if status != expected {
            return Err(Failure::new(format!(
                "{name} answers {status} to {what}, not {expected}"
            )));
        }
        if (body == setting.body.as_bytes()) != (expected == 200) {
            return Err(Failure::new(format!("{name} answers {what} with a wrong body")));
        }
        Ok(())
    };
    let Some((keys, tokens)) = *tokens else {
        expect("a request", None, 200)?;
        return Ok(1);
    };
    // The last one is not used by the load, so the gateway has not seen what the load brings.
    let good = tokens.last().ok_or_else(|| Failure::new("no tokens"))?;
    expect("a good token", Some(good), 200)?;
    expect("no token", None, 401)?;
    expect("a token with one character changed", Some(&forge(good)), 403)?;
    expect("an expired token", Some(&keys.expired()?), 403)?;
    Ok(4)
}

/// Sees that a proxy answers over TLS, and only to whom it should; returns how many requests that took.
fn check_tls(peer: Peer, row: Row, proxy: &Running, certificates: &Certificates, setting: &Setting) -> Outcome<usize> {
    let ask = |shows_client: bool| {
        let load = Load {
            address: proxy.address,
            connections: 1,
            connector: certificates.connector(row, shows_client)?,
            connects_each_time: false,
            is_http2: row.way() == Way::Http2,
            warm_up: 1,
            requests: 1,
            tokens: Tokens::None,
            body: setting.body.as_bytes().into(),
        };
        load::run(load, || ()).map(drop)
    };
    ask(true)?;
    if row.is_mutual() && ask(false).is_ok() {
        let name = peer.name();
        return Err(Failure::new(format!("{name} answers who shows no certificate")));
    }
    Ok(2)
}

/// The token with one character of its claims changed.
fn forge(token: &str) -> String {
    let at = token.find('.').map_or(0, |dot| dot + 10);
    let other = if token.as_bytes().get(at) == Some(&b'A') {
        "B"
    } else {
        "A"
    };
    let mut forged = token.to_owned();
    forged.replace_range(at..=at, other);
    forged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_token_differs_in_one_character_of_its_claims() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJBIn0.c2ln";
        let forged = forge(token);
        let changed: Vec<_> = token
            .bytes()
            .zip(forged.bytes())
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .collect();
        assert_eq!(
            (changed.len(), changed[0].0, forged.len()),
            (1, token.find('.').unwrap() + 10, token.len())
        );
        assert_ne!(forge(&forged), forged);
    }
}
