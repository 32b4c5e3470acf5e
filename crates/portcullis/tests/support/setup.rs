//! A gateway that serves the documented shapes, or a variation of them, in front of an origin.

use std::fmt::Display;

use portcullis_testkit::{Answer, Ended, Portcullis, curl};

use super::{BINARY, CONFIG, PROXY, Place, SECRET, metrics::Samples, poll};

/// What shall be served: the documented document and configuration with ports from the system.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) place: Place,
    document: String,
    config: String,
}

/// A gateway with its metrics, and the directory it runs in.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) gateway: Portcullis,
    pub(crate) place: Place,
}

/// The documented API without its authoriser.
pub(crate) fn open() -> String {
    PROXY.replace("security: [{Approov: []}]", "security: []")
}

/// An origin's answer, 200 with a body framed by its length.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
}

// === impl Setup ===

impl Setup {
    /// The documented shapes in front of `origin` (`127.0.0.1:9000`).
    pub(crate) fn new(origin: impl Display) -> Self {
        let config = CONFIG
            .replace("127.0.0.1:8080", "127.0.0.1:0")
            .replace("127.0.0.1:9100", "127.0.0.1:0")
            .replace("127.0.0.1:9000", &origin.to_string());
        Self {
            place: Place::new(),
            document: PROXY.to_owned(),
            config,
        }
    }

    /// The same without tokens: for what has nothing to do with them.
    pub(crate) fn open(origin: impl Display) -> Self {
        Self::new(origin).document(open())
    }

    /// Another document.
    pub(crate) fn document(mut self, document: impl Into<String>) -> Self {
        self.document = document.into();
        self
    }

    /// Another text in the document; panics when the documented one is not there.
    #[track_caller]
    pub(crate) fn in_document(mut self, from: &str, to: &str) -> Self {
        assert!(self.document.contains(from), "`{from}` is not in the document");
        self.document = self.document.replace(from, to);
        self
    }

    /// Another text in the configuration; panics when the documented one is not there.
    #[track_caller]
    pub(crate) fn in_config(mut self, from: &str, to: &str) -> Self {
        assert!(self.config.contains(from), "`{from}` is not in the configuration");
        self.config = self.config.replace(from, to);
        self
    }

    /// More lines for the listener.
    pub(crate) fn listener(self, lines: &str) -> Self {
        let address = "address = \"127.0.0.1:0\"\n\n[[apis]]";
        self.in_config(address, &format!("address = \"127.0.0.1:0\"\n{lines}\n\n[[apis]]"))
    }

    /// More lines at the top of the configuration.
    pub(crate) fn root(self, lines: &str) -> Self {
        self.in_config("data_dir =", &format!("{lines}\ndata_dir ="))
    }

    /// Another throttle.
    pub(crate) fn throttle(self, rate_per_s: f64, burst: u32) -> Self {
        let throttle = format!("throttle = {{ rate_per_s = {rate_per_s}, burst = {burst} }}");
        self.in_config("throttle = { rate_per_s = 10000, burst = 5000 }", &throttle)
    }

    /// Another destination of the access log, and another format.
    pub(crate) fn access_log(self, destination: &str, format: &str) -> Self {
        let log = format!("destination = {destination:?}, format = {format:?}");
        self.in_config("destination = \"stdout\", format = \"clf\"", &log)
    }

    /// Writes a file beside the configuration.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.place.write(name, text);
        self
    }

    /// Writes the document and the configuration, and starts nothing.
    pub(crate) fn written(self) -> Place {
        let Self {
            place,
            document,
            config,
        } = self;
        place.write("proxy.yaml", document);
        place.write("portcullis.toml", config);
        place
    }

    /// Starts it with `serve --config portcullis.toml` and waits until it serves.
    #[track_caller]
    pub(crate) fn start(self) -> Running {
        Running::start(self.written())
    }
}

// === impl Running ===

impl Running {
    /// Serves what `place` holds already.
    #[track_caller]
    pub(crate) fn start(place: Place) -> Self {
        let gateway = Portcullis::command(BINARY)
            .args(["serve", "--config", "portcullis.toml"])
            .env("APPROOV_SECRET", SECRET)
            .directory(place.path(""))
            .listeners(2)
            .start();
        Self { gateway, place }
    }

    /// Calls `path` with curl; `arguments` are curl's.
    #[track_caller]
    pub(crate) fn call(&self, path: &str, arguments: &[&str]) -> Answer {
        curl(&[arguments, &[&self.gateway.url(path)]].concat())
    }

    /// Calls `path` with a token.
    #[track_caller]
    pub(crate) fn call_with(&self, path: &str, token: &str) -> Answer {
        self.call(path, &["-H", &format!("Approov-Token: {token}")])
    }

    /// Calls `path` of the metrics' listener.
    #[track_caller]
    pub(crate) fn probe(&self, path: &str) -> Answer {
        curl(&[&format!("http://{}{path}", self.gateway.addresses()[1])])
    }

    /// Everything that the metrics tell now.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Samples {
        Samples::read(self.probe("/metrics").text())
    }

    /// Waits until a sample, by its whole name, is this. Calls are counted when their last byte is out, which a caller may
    /// have read a moment before.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, expected: f64) {
        poll(|| self.metrics().value(name), |value| *value == expected);
    }

    /// The same for a sample of the documented route.
    #[track_caller]
    pub(crate) fn wait_for_route_metric(&self, name: &str, expected: f64) {
        poll(|| self.metrics().route(name), |value| *value == expected);
    }

    /// The most memory that the process has ever used, in KiB (`VmHWM` of proc_pid_status(5)).
    #[track_caller]
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.gateway.child().id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends it in order; it says that all went well.
    #[track_caller]
    pub(crate) fn stop(self) -> Ended {
        let ended = self.gateway.stop();
        assert!(ended.status.success(), "{ended:?}");
        ended
    }

    /// Ends it in order and gives the directory it ran in.
    #[track_caller]
    pub(crate) fn stop_in_place(self) -> Place {
        let Self { gateway, place } = self;
        let ended = gateway.stop();
        assert!(ended.status.success(), "{ended:?}");
        place
    }
}
