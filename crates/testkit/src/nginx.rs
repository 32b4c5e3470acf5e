//! A real nginx as origin: the server that the gateway's users have behind it.

use std::{fs, net::SocketAddr, process::Command};

use tempfile::TempDir;

use crate::{Child, ReservedPort, Stream};

/// A running nginx of one process on a port of its own, with its own configuration, files and logs in a directory that goes
/// with it. The system's nginx service is neither used nor touched.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    port: ReservedPort,
    _directory: TempDir,
}

/// What a [`Nginx`] shall do; see [`Nginx::serving`].
#[derive(Clone, Debug, Default)]
pub struct Setup {
    files: Vec<(String, Vec<u8>)>,
    demanded: Option<(String, String)>,
    tls: Option<(String, String)>,
    extra: String,
}

/// The line that nginx writes once it listens and reads its sockets.
const READY: &str = "getrlimit(RLIMIT_NOFILE)";

// === impl Nginx ===

impl Nginx {
    /// Serves `body` at `path` (`/example.json`), as the type that the extension says.
    pub fn serving(path: &str, body: impl Into<Vec<u8>>) -> Setup {
        Setup::default().serving(path, body)
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Waits until `count` requests are logged and returns all lines, each `METHOD URI STATUS`.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) -> Vec<String> {
        if count > 0 {
            self.child.wait_for_line(Stream::Stdout, count - 1, |_| true);
        }
        self.child.lines(Stream::Stdout)
    }

    /// Waits until its connections are served, ends it and returns the lines of all requests.
    #[track_caller]
    pub fn stop(self) -> Vec<String> {
        self.child.stop().stdout.lines().map(ToOwned::to_owned).collect()
    }
}

// === impl Setup ===

impl Setup {
    /// Serves one more file.
    #[track_caller]
    pub fn serving(mut self, path: &str, body: impl Into<Vec<u8>>) -> Self {
        assert!(
            path.starts_with('/') && !path.contains(".."),
            "`{path}` is a path below the root"
        );
        self.files.push((path.to_owned(), body.into()));
        self
    }

    /// Answers 403 to a request without this header field: an origin locked to its gateway.
    pub fn demanding(mut self, header: &str, value: &str) -> Self {
        self.demanded = Some((header.to_owned(), value.to_owned()));
        self
    }

    /// Speaks TLS with this certificate and its key, both PEM.
    pub fn tls(mut self, certificate: &str, key: &str) -> Self {
        self.tls = Some((certificate.to_owned(), key.to_owned()));
        self
    }

    /// Adds lines of nginx's own language to the server block.
    pub fn with(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self
    }

    /// Starts it and waits until it listens. A machine without nginx fails the test: a walk against the real thing is not
    /// skipped.
    #[track_caller]
    pub fn start(self) -> Nginx {
        let port = ReservedPort::new();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = directory.path().join("files");
        fs::create_dir(&files).expect("a directory of ours");
        for (path, body) in &self.files {
            let file = files.join(path.trim_start_matches('/'));
            fs::create_dir_all(file.parent().expect("a file has a directory")).expect("a directory of ours");
            fs::write(file, body).expect("a file of ours");
        }
        if let Some((certificate, key)) = &self.tls {
            fs::write(directory.path().join("certificate.pem"), certificate).expect("a file of ours");
            fs::write(directory.path().join("key.pem"), key).expect("a file of ours");
        }
        fs::write(directory.path().join("nginx.conf"), self.configuration(port.address())).expect("a file of ours");
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(directory.path())
            .args(["-e", "stderr", "-c", "nginx.conf"]);
        // Debian keeps it where an ordinary user's search path does not look.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin"));
        let child = Child::start(command, "run ./test, which installs nginx");
        child.wait_for_line(Stream::Stderr, 0, |line| line.contains(READY));
        Nginx {
            child,
            port,
            _directory: directory,
        }
    }

    fn configuration(&self, address: SocketAddr) -> String {
        let demand = self.demanded.as_ref().map_or_else(String::new, |(header, value)| {
            let variable = header.to_ascii_lowercase().replace('-', "_");
            format!("if ($http_{variable} != \"{value}\") {{ return 403; }}")
        });
        let (ssl, certificate) = match &self.tls {
            Some(_) => (" ssl", "ssl_certificate certificate.pem; ssl_certificate_key key.pem;"),
            None => ("", ""),
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path temp_{name};\n"))
            .concat();
        format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr notice;\nevents {{}}\nhttp {{\n{temporary}\
             \x20   types {{ application/json json; text/html html; text/plain txt; }}\n\
             \x20   log_format line '$request_method $request_uri $status';\n    access_log /dev/stdout line;\n\
             \x20   server {{\n        listen {address}{ssl};\n        {certificate}\n        root files;\n        {demand}\n        {extra}\n    }}\n}}\n",
            extra = self.extra
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curl;

    #[test]
    fn demands_its_key() {
        let nginx = Nginx::serving("/deep/example.json", "{}")
            .demanding("X-Api-Key", "k")
            .start();
        let url = format!("http://{}/deep/example.json", nginx.address());
        assert_eq!(curl(&[&url]).status, 403);
        let answer = curl(&["-H", "x-api-key: k", &url]);
        assert_eq!(
            (answer.status, answer.text(), answer.header("content-type")),
            (200, "{}", Some("application/json"))
        );
        let expected = ["GET /deep/example.json 403", "GET /deep/example.json 200"];
        assert_eq!(nginx.wait_for_requests(2), expected);
        assert_eq!(nginx.stop(), expected);
    }

    #[test]
    fn takes_lines_of_its_own_language_and_missing_files_are_404() {
        let nginx = Nginx::serving("/a.txt", "a")
            .with("location /b { return 200 $http_x; }")
            .start();
        let url = |path: &str| format!("http://{}{path}", nginx.address());
        assert_eq!(curl(&["-H", "x: 5", &url("/b")]).text(), "5");
        assert_eq!(curl(&[&url("/a.txt")]).status, 200);
        assert_eq!(curl(&[&url("/c.txt")]).status, 404);
    }
}
