//! The proxies and the origin as child processes, each pinned to a core with a configuration made from `bench/peers`.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portcullis_testkit::ReservedPort;

use crate::{
    cpu::Tree,
    failure::{Failure, Outcome, While as _},
    row::{Peer, Row, Way},
    token::Keys,
};

/// Where things are and which cores they get.
pub(crate) struct Setting {
    /// `bench/out`, absolute.
    pub(crate) directory: PathBuf,
    /// The gateway's binary.
    pub(crate) gateway: PathBuf,
    /// The core of the proxy under measurement.
    pub(crate) proxy_core: usize,
    /// The core of load and origin.
    pub(crate) load_core: usize,
    /// What the origin answers.
    pub(crate) body: String,
}

/// A running child, ended by its id when dropped.
pub(crate) struct Running {
    child: Child,
    name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where it writes its access log.
    pub(crate) log: PathBuf,
    _port: ReservedPort, // nobody else gets the port while the child has it
}

/// Connections that each proxy is set up for; an ordinary limit of open files allows no more to a proxy that needs two for each.
const CONNECTIONS_MAX: usize = 4_096;
/// The same where idle ones are counted.
const IDLE_CONNECTIONS_MAX: usize = 10_500;
/// How long a child may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

/// Starts the origin.
pub(crate) fn start_origin(setting: &Setting) -> Outcome<Running> {
    let port = ReservedPort::new();
    let origin_port = port.number().to_string();
    let body = setting.body.replace('"', "\\\"");
    let values = [("origin_port", origin_port.as_str()), ("body", &body)];
    let file = configure(setting, "origin.conf", include_str!("../peers/origin.conf"), &values)?;
    let log = setting.directory.join("origin.log");
    start(
        "the origin",
        setting,
        setting.load_core,
        nginx(&setting.directory, &file),
        port,
        log,
    )
}

/// Starts a proxy in front of the origin with what `row` asks for.
pub(crate) fn start_peer(
    peer: Peer,
    row: Row,
    keys: Option<&Keys>,
    origin: SocketAddr,
    setting: &Setting,
) -> Outcome<Running> {
    let (port, metrics) = (ReservedPort::new(), ReservedPort::new());
    let (own, origin) = (port.number().to_string(), origin.port().to_string());
    let metrics_port = metrics.number().to_string();
    let algorithm = row.algorithm().map_or("", |algorithm| algorithm.as_str());
    let keys = keys.filter(|_| row.checks_tokens(peer));
    let (haproxy_key, portcullis_keys) = keys.map_or(("", ""), |keys| (&keys.haproxy, &keys.portcullis));
    let (listen, tls) = listening(peer, row, &setting.directory);
    let connections_max = match (row, peer) {
        (Row::Tls, Peer::Nginx | Peer::Portcullis) => IDLE_CONNECTIONS_MAX,
        _ => CONNECTIONS_MAX,
    };
    let connections_max = connections_max.to_string();
    let cache = match row {
        Row::CacheHit => "cache = { enabled = true }",
        _ => "",
    };
    let values = [
        ("port", own.as_str()),
        ("origin_port", &origin),
        ("metrics_port", &metrics_port),
        ("algorithm", algorithm),
        ("key", haproxy_key),
        ("keys", portcullis_keys),
        ("listen", &listen),
        ("tls", &tls),
        ("connections_max", &connections_max),
        ("cache", cache),
    ];
    let make = |name: &str, template: &str| configure(setting, name, template, &values);
    let (log, command) = match (peer, keys.is_some()) {
        (Peer::Nginx, _) => {
            let file = make("nginx.conf", include_str!("../peers/nginx.conf"))?;
            ("nginx.log", nginx(&setting.directory, &file))
        }
        (Peer::Haproxy, false) => (
            "haproxy.log",
            haproxy(&make("haproxy-plain.cfg", include_str!("../peers/haproxy-plain.cfg"))?),
        ),
        (Peer::Haproxy, true) => (
            "haproxy.log",
            haproxy(&make("haproxy-token.cfg", include_str!("../peers/haproxy-token.cfg"))?),
        ),
        (Peer::Portcullis, false) => {
            make("portcullis-plain.yaml", include_str!("../peers/portcullis-plain.yaml"))?;
            let file = make("portcullis-plain.toml", include_str!("../peers/portcullis-plain.toml"))?;
            ("portcullis-access.log", portcullis(&setting.gateway, &file))
        }
        (Peer::Portcullis, true) => {
            make("portcullis-token.yaml", include_str!("../peers/portcullis-token.yaml"))?;
            let file = make("portcullis-token.toml", include_str!("../peers/portcullis-token.toml"))?;
            ("portcullis-access.log", portcullis(&setting.gateway, &file))
        }
    };
    let log = setting.directory.join(log);
    start(peer.name(), setting, setting.proxy_core, command, port, log)
}

/// Starts the gateway with another document than that of the rows, over plain TCP.
pub(crate) fn start_with(document: &str, origin: SocketAddr, setting: &Setting) -> Outcome<Running> {
    let (port, metrics) = (ReservedPort::new(), ReservedPort::new());
    let connections_max = CONNECTIONS_MAX.to_string();
    let values = [
        ("port", port.number().to_string()),
        ("origin_port", origin.port().to_string()),
        ("metrics_port", metrics.number().to_string()),
        ("tls", String::new()),
        ("connections_max", connections_max),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let template = include_str!("../peers/portcullis-plain.toml").replace("portcullis-plain.yaml", document);
    let file = configure(setting, "portcullis-other.toml", &template, &values)?;
    let log = setting.directory.join("portcullis-access.log");
    let command = portcullis(&setting.gateway, &file);
    start(Peer::Portcullis.name(), setting, setting.proxy_core, command, port, log)
}

/// What a peer's configuration says of its listener, and of TLS apart from that.
fn listening(peer: Peer, row: Row, directory: &Path) -> (String, String) {
    let at = |name: &str| text(&directory.join(name));
    let is_mutual = row.is_mutual();
    match (peer, row.way()) {
        (_, Way::Plain) => Default::default(),
        (Peer::Nginx, way) => {
            let listen = if way == Way::Http2 { " ssl http2" } else { " ssl" };
            let clients = match is_mutual {
                true => format!("ssl_client_certificate {}; ssl_verify_client on;", at("clients.pem")),
                false => String::new(),
            };
            let (certificate, key) = (at("server.pem"), at("server.key"));
            let tls =
                format!("ssl_protocols TLSv1.3; ssl_certificate {certificate}; ssl_certificate_key {key}; {clients}");
            (listen.to_owned(), tls)
        }
        (Peer::Haproxy, way) => {
            let alpn = if way == Way::Http2 { "h2" } else { "http/1.1" };
            let clients = match is_mutual {
                true => format!(" ca-file {} verify required", at("clients.pem")),
                false => String::new(),
            };
            let listen = format!(
                " ssl crt {} ssl-min-ver TLSv1.3 alpn {alpn}{clients}",
                at("server-both.pem")
            );
            (listen, String::new())
        }
        (Peer::Portcullis, _) => {
            let clients = match is_mutual {
                true => "[listeners.tls.client_certificates]\nmode = \"require\"\ntruststore = \"clients.pem\"",
                false => "",
            };
            let certificates = "certificates = [{ certificate = \"server.pem\", key = \"server.key\" }]";
            (
                String::new(),
                format!("[listeners.tls]\nminimum = \"1.3\"\n{certificates}\n{clients}"),
            )
        }
    }
}

fn nginx(directory: &Path, file: &Path) -> Vec<String> {
    let log = directory.join("nginx-start.log");
    ["nginx", "-p", &text(directory), "-e", &text(&log), "-c", &text(file)]
        .map(ToOwned::to_owned)
        .to_vec()
}

fn haproxy(file: &Path) -> Vec<String> {
    ["haproxy", "-db", "-f", &text(file)].map(ToOwned::to_owned).to_vec()
}

fn portcullis(binary: &Path, file: &Path) -> Vec<String> {
    [&text(binary), "serve", "--config", &text(file)]
        .map(ToOwned::to_owned)
        .to_vec()
}

/// Fills `{{name}}` in a template and writes it to `bench/out`.
fn configure(setting: &Setting, name: &str, template: &str, values: &[(&str, &str)]) -> Outcome<PathBuf> {
    let filled = template.replace("{{directory}}", &text(&setting.directory));
    let filled = values.iter().fold(filled, |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    });
    if filled.contains("{{") {
        return Err(Failure::new(format!("{name} has a name that nobody fills in")));
    }
    let path = setting.directory.join(name);
    fs::write(&path, filled).doing(format!("writing {}", path.display()))?;
    Ok(path)
}

/// Starts a command on a core, its output in files, and waits until it listens.
fn start(
    name: &'static str,
    setting: &Setting,
    core: usize,
    command: Vec<String>,
    port: ReservedPort,
    log: PathBuf,
) -> Outcome<Running> {
    // A line-by-line log of an earlier run would be counted again.
    let _ = fs::remove_file(&log);
    let errors = setting.directory.join(format!("{name}.stderr"));
    let stdout = if name == Peer::Haproxy.name() {
        Stdio::from(create(&log)?)
    } else {
        Stdio::null()
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let child = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .args(&command)
        .env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin"))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(create(&errors)?)
        .spawn()
        .doing(format!("starting {name}"))?;
    let mut running = Running {
        child,
        name,
        address: port.address(),
        log,
        _port: port,
    };
    let until = Instant::now() + START_MAX;
    while TcpStream::connect(running.address).is_err() {
        let ended = running.child.try_wait().doing(format!("waiting for {name}"))?;
        if ended.is_some() || Instant::now() > until {
            let said = fs::read_to_string(&errors).unwrap_or_default();
            return Err(Failure::new(format!("{name} does not listen; it said:\n{said}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}

fn create(path: &Path) -> Outcome<File> {
    File::create(path).doing(format!("writing {}", path.display()))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

// === impl Running ===

impl Running {
    /// Its processes.
    pub(crate) fn tree(&self) -> Outcome<Tree> {
        Tree::of(self.child.id())
    }

    /// Sends one request on a connection of its own: status and body.
    pub(crate) fn ask(&self, token: Option<&str>) -> Outcome<(u16, Vec<u8>)> {
        let doing = || format!("asking {}", self.name);
        let mut stream = TcpStream::connect(self.address).doing(doing())?;
        stream.set_read_timeout(Some(START_MAX)).doing(doing())?;
        let token = token.map_or_else(String::new, |token| format!("Approov-Token: {token}\r\n"));
        let head = "GET /example.json HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n";
        stream
            .write_all(format!("{head}{token}\r\n").as_bytes())
            .doing(doing())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).doing(doing())?;
        let status = answer
            .get(9..12)
            .and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        let head_end = memchr::memmem::find(&answer, b"\r\n\r\n").map(|end| end + 4);
        match (status, head_end) {
            (Some(status), Some(head_end)) => Ok((status, answer.split_off(head_end))),
            _ => Err(Failure::new(format!("{} gave no answer of HTTP/1.1", self.name))),
        }
    }

    /// Ends it in order and returns the lines of its access log.
    pub(crate) fn stop(mut self) -> Outcome<usize> {
        let doing = || format!("ending {}", self.name);
        if self.child.try_wait().doing(doing())?.is_some() {
            return Err(Failure::new(format!("{} has ended by itself", self.name)));
        }
        end(&mut self.child).doing(format!("ending {}", self.name))?;
        let log = fs::read(&self.log).unwrap_or_default();
        Ok(memchr::memchr_iter(b'\n', &log).count())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && end(&mut self.child).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Asks a child to end and waits until it has: killed outright, nginx's master would leave its worker behind.
fn end(child: &mut Child) -> std::io::Result<()> {
    let id = child.id().to_string();
    let asked = Command::new("sh")
        .args(["-c", "kill -s TERM \"$1\"", "kill", &id])
        .status()?;
    if !asked.success() {
        return Err(std::io::Error::other("it took no signal"));
    }
    child.wait().map(|_| ())
}
