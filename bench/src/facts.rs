//! What is measured once: memory of idle connections, and the time and memory of a start with many routes.

use std::{fs, time::Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, task::LocalSet};

use crate::{
    failure::{Failure, Outcome, While as _},
    load::{self, Load, Tokens},
    peer::{Running, Setting, start_peer, start_with},
    row::{Peer, Row},
    wire::Certificates,
};

/// A figure with its unit.
pub(crate) struct Fact {
    what: String,
    peer: Peer,
    value: f64,
    unit: &'static str,
    /// What it shall be at most.
    aim: Option<f64>,
}

/// Routes of the document that a start is measured with.
const ROUTES: usize = 300;
const STARTS: usize = 5;

/// All of them.
pub(crate) fn all(origin: &Running, certificates: &Certificates, setting: &Setting) -> Outcome<Vec<Fact>> {
    raise_descriptors();
    let mut facts = start(origin, setting)?;
    for connections in [1_000, 10_000] {
        // HAProxy asks for two descriptors for each, which an ordinary limit does not give it.
        for peer in [Peer::Nginx, Peer::Portcullis] {
            let kib = idle(peer, connections, origin, certificates, setting)?;
            eprintln!("idle TLS connections: {} {connections}: {kib:.1} KiB each", peer.name());
            facts.push(Fact {
                what: format!("memory of each of {connections} idle TLS 1.3 connections"),
                peer,
                value: kib,
                unit: "KiB",
                aim: (peer == Peer::Portcullis).then_some(20.0),
            });
        }
    }
    Ok(facts)
}

/// From the start of the process to its first answer, and the memory it has then.
fn start(origin: &Running, setting: &Setting) -> Outcome<Vec<Fact>> {
    let mut document = String::from("openapi: 3.0.1\ninfo: { title: Many, version: \"1\" }\npaths:\n");
    for number in 0..ROUTES {
        let path = if number == 0 {
            "/example.json".to_owned()
        } else {
            format!("/r{number}/{{id}}/items")
        };
        let parameter = match number {
            0 => "",
            _ => "      parameters: [{ name: id, in: path, required: true, schema: { type: string } }]\n",
        };
        document.push_str(&format!(
            "  {path}:\n    get:\n{parameter}      x-amazon-apigateway-integration: {{ type: http_proxy, httpMethod: GET, uri: \"http://${{stageVariables.origin}}{path}\" }}\n"
        ));
    }
    fs::write(setting.directory.join("portcullis-many.yaml"), document).doing("writing portcullis-many.yaml")?;
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let began = Instant::now();
        let running = start_with("portcullis-many.yaml", origin.address, setting)?;
        let (status, _) = running.ask(None)?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        if status != 200 {
            return Err(Failure::new(format!("{ROUTES} routes: the first answer is {status}")));
        }
        memory.push(running.tree()?.resident_bytes() as f64 / 1_048_576.0);
        running.stop()?;
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let fact = |what: String, value: f64, unit: &'static str, aim: f64| Fact {
        what,
        peer: Peer::Portcullis,
        value,
        unit,
        aim: Some(aim),
    };
    Ok(vec![
        fact(
            format!("start to first answer, {ROUTES} routes"),
            median(times),
            "ms",
            100.0,
        ),
        fact(
            format!("memory once started, {ROUTES} routes"),
            median(memory),
            "MiB",
            30.0,
        ),
    ])
}

/// What each of many connections costs that have been answered once and say nothing more, in KiB.
fn idle(
    peer: Peer,
    connections: usize,
    origin: &Running,
    certificates: &Certificates,
    setting: &Setting,
) -> Outcome<f64> {
    let proxy = start_peer(peer, Row::Tls, None, origin.address, setting)?;
    let load = |requests: usize| -> Outcome<Load> {
        Ok(Load {
            address: proxy.address,
            connections: 1,
            connector: certificates.connector(Row::Tls, true)?,
            connects_each_time: true,
            is_http2: false,
            warm_up: 1,
            requests,
            tokens: Tokens::None,
            body: setting.body.as_bytes().into(),
        })
    };
    load::run(load(100)?, || ())?; // what is allocated once is there by then
    let tree = proxy.tree()?;
    let before = tree.resident_bytes();
    let connector = certificates.connector(Row::Tls, true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .doing("starting the load")?;
    let after = LocalSet::new().block_on(&runtime, async {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut stream = connector.connect(proxy.address).await?;
            load::ask_once(&mut *stream, proxy.address, setting.body.as_bytes()).await?;
            open.push(stream);
        }
        let after = tree.resident_bytes();
        for stream in &mut open {
            let _ = stream.shutdown().await; // both ends are ours, and the process ends right behind
        }
        Ok::<_, Failure>(after)
    })?;
    proxy.stop()?;
    Ok((after as f64 - before as f64) / 1_024.0 / connections as f64)
}

/// As many descriptors as the system allows: each connection is one here, and two in a proxy.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit); // too few show as connections that cannot be opened
}

/// The table for a terminal.
pub(crate) fn plain(facts: &[Fact]) -> String {
    facts
        .iter()
        .map(|fact| format!("{}\n", fact.cells().join("  ")))
        .collect()
}

/// The table in Markdown; nothing without facts.
pub(crate) fn markdown(facts: &[Fact]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let rows: String = facts
        .iter()
        .map(|fact| format!("| {} |\n", fact.cells().join(" | ")))
        .collect();
    format!("\n| what | proxy | figure | aim |\n|---|---|--:|---|\n{rows}")
}

// === impl Fact ===

impl Fact {
    fn cells(&self) -> [String; 4] {
        let verdict = |aim: f64| format!("≤ {aim} {} {}", self.unit, if self.value <= aim { '✓' } else { '✗' });
        [
            self.what.clone(),
            self.peer.name().to_owned(),
            format!("{:.1} {}", self.value, self.unit),
            self.aim.map_or_else(String::new, verdict),
        ]
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "what": self.what, "peer": self.peer.name(), "value": self.value, "unit": self.unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_held_against_its_aim() {
        let check = |value: f64, expected: &str| {
            let fact = Fact {
                what: "memory".to_owned(),
                peer: Peer::Portcullis,
                value,
                unit: "KiB",
                aim: Some(20.0),
            };
            assert_eq!(
                fact.cells(),
                ["memory", "Portcullis", &format!("{value:.1} KiB"), expected]
            );
        };
        check(20.0, "≤ 20 KiB ✓");
        check(20.1, "≤ 20 KiB ✗");
        assert_eq!(markdown(&[]), "");
    }
}
