//! Whom a listener lets in by certificate, and until when.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use portcullis_testkit::{Authority, Identity, Leaf, Nginx, Stream};

use crate::{
    setup::{origin, serving, try_call},
    support::{Running, Setup, poll},
};

/// A gateway that asks for certificates of `clients`.
fn asking(origin: &Nginx, server: &Authority, clients: &Authority, lines: &str) -> Setup {
    let clients_pem = clients.pem();
    serving(
        origin,
        &[&server.server(&["localhost"])],
        &format!("[listeners.tls.client_certificates]\n{lines}"),
    )
    .file("clients.pem", clients_pem)
}

/// The status of a call with the certificate of `client`, or nothing when the handshake failed.
fn status(running: &Running, root: &Authority, client: Option<&Identity>) -> Option<u16> {
    let mut arguments = Vec::new();
    let paths = client.map(|client| client.write(&running.place.path(""), "client"));
    let paths = paths.map(|(certificate, key)| [certificate, key].map(|path| path.display().to_string()));
    if let Some([certificate, key]) = &paths {
        arguments = vec!["--cert", certificate, "--key", key];
    }
    try_call(running, root, &arguments).ok().map(|answer| answer.status)
}

#[test]
fn each_mode_lets_in_whom_it_says() {
    let root = Authority::root("Root");
    let ours = Authority::root("Clients");
    let below = ours.intermediate("Clients below");
    let origin = origin();
    let good = ours.client("good");
    let through = below.client("through an authority of its own");
    let (expired, early) = (
        ours.issue(&Leaf::client("expired").between(-7_200, -3_600)),
        ours.issue(&Leaf::client("early").between(3_600, 7_200)),
    );
    let server = ours.server(&["server.example.com"]);
    let stranger = Authority::root("Clients").client("good");
    let alone = Identity::self_signed(&Leaf::client("alone"));
    let rsa = ours.issue(&Leaf::client("rsa").rsa());
    // What is shown, and what comes of it with `require`, `request` and `any`.
    type Expected = [Option<u16>; 3];
    const ALL: Expected = [Some(200); 3];
    const ANY: Expected = [None, None, Some(200)];
    let cases: [(&str, Option<&Identity>, Expected); 9] = [
        ("none", None, [None, Some(200), Some(200)]),
        ("good", Some(&good), ALL),
        ("RSA", Some(&rsa), ALL),
        ("through an intermediate that it sends", Some(&through), ALL),
        ("expired", Some(&expired), ANY),
        ("early", Some(&early), ANY),
        ("a server's", Some(&server), ANY),
        ("a stranger's of the same names", Some(&stranger), ANY),
        ("nobody's", Some(&alone), ANY),
    ];
    for (index, mode) in ["require", "request", "any"].into_iter().enumerate() {
        let truststore = if mode == "any" {
            ""
        } else {
            "\ntruststore = \"clients.pem\""
        };
        let running = asking(&origin, &root, &ours, &format!("mode = \"{mode}\"{truststore}")).start();
        for (what, client, expected) in &cases {
            assert_eq!(status(&running, &root, *client), expected[index], "{mode}: {what}");
        }
        running.stop();
    }
}

#[test]
fn intermediates_of_the_truststore_need_not_be_sent_and_can_be_anchors() {
    let root = Authority::root("Root");
    let ours = Authority::root("Clients");
    let (below, beside) = (ours.intermediate("Below"), ours.intermediate("Beside"));
    let origin = origin();
    let lazy = |authority: &Authority| {
        let leaf = authority.client("lazy");
        let own = leaf
            .chain()
            .split_inclusive("-----END CERTIFICATE-----\n")
            .next()
            .unwrap()
            .to_owned();
        (own, leaf.key().to_owned())
    };
    let call = |running: &Running, (certificate, key): &(String, String)| {
        let certificate = running.place.write("lazy.pem", certificate).display().to_string();
        let key = running.place.write("lazy.key", key).display().to_string();
        let called = try_call(running, &root, &["--cert", &certificate, "--key", &key]);
        called.ok().map(|answer| answer.status)
    };
    let (of_below, of_beside) = (lazy(&below), lazy(&beside));
    for (truststore, accepts_below, accepts_beside) in [
        (ours.pem(), None, None), // nobody can know who issued them
        (ours.pem() + &below.pem(), Some(200), None),
        (below.pem(), Some(200), None), // an anchor, for its issuer is not there
    ] {
        let setup = asking(&origin, &root, &ours, "mode = \"require\"\ntruststore = \"some.pem\"");
        let running = setup.file("some.pem", truststore).start();
        assert_eq!(call(&running, &of_below), accepts_below);
        assert_eq!(call(&running, &of_beside), accepts_beside);
        running.stop();
    }
}

#[test]
fn lists_take_back_whom_they_name_and_old_ones_refuse_everybody() {
    let root = Authority::root("Root");
    let ours = Authority::root("Clients");
    let origin = origin();
    let (good, revoked) = (ours.client("good"), ours.client("revoked"));
    let fresh = ours.revocation_list(&[&revoked]);
    let old = ours.revocation_list_until(&[&revoked], -3_600);
    let others = Authority::root("Others").revocation_list(&[]);
    for (list, more, of_good, of_revoked) in [
        (&fresh, "", Some(200), None),
        (&old, "", None, None),
        (&old, "outdated_revocation_lists = \"allow\"", Some(200), None),
        (&others, "", None, None), // whether they are revoked nobody knows
    ] {
        let lines =
            format!("mode = \"require\"\ntruststore = \"clients.pem\"\nrevocation_lists = [\"clients.crl\"]\n{more}");
        let running = asking(&origin, &root, &ours, &lines).file("clients.crl", list).start();
        assert_eq!(status(&running, &root, Some(&good)), of_good, "{more}");
        assert_eq!(status(&running, &root, Some(&revoked)), of_revoked, "{more}");
        running.stop();
    }
    // Authorities between: looked up unless the configuration says otherwise.
    let below = ours.intermediate("Below");
    let client = below.client("below");
    for (depth, expected) in [("chain", None), ("end_entity", Some(200))] {
        let lines = format!(
            "mode = \"require\"\ntruststore = \"clients.pem\"\nrevocation_lists = [\"below.crl\"]\nrevocation_depth = \"{depth}\""
        );
        let running = asking(&origin, &root, &ours, &lines)
            .file("below.crl", below.revocation_list(&[]))
            .start();
        assert_eq!(status(&running, &root, Some(&client)), expected, "{depth}");
        running.stop();
    }
}

/// One connection of OpenSSL's client that stays open.
struct Connection {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Connection {
    fn open(running: &Running, client: &Identity, more: &[&str]) -> Self {
        let (certificate, key) = client.write(&running.place.path(""), "held");
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &running.gateway.address().to_string()])
            .arg("-cert")
            .arg(certificate)
            .arg("-key")
            .arg(key)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, from) = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        Self { child, to, from }
    }

    /// The status and body of a call.
    fn call(&mut self) -> (u16, String) {
        let request = b"GET /a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
        self.to.write_all(request).unwrap();
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            assert_ne!(self.from.read_line(&mut line).unwrap(), 0, "the connection ended");
            let lower = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if lower.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_open_connection_is_refused_from_its_next_request_on() {
    const REFUSED: &str = "{\"message\":\"Forbidden\"}";
    let root = Authority::root("Root");
    let ours = Authority::root("Clients");
    let origin = origin();
    let lines = "mode = \"require\"\ntruststore = \"clients.pem\"\nrevocation_lists = [\"clients.crl\"]";
    let setup = asking(&origin, &root, &ours, lines).file("clients.crl", ours.revocation_list(&[]));
    let running = setup
        .access_log(
            "stdout",
            "$context.status $context.identity.clientCert.subjectDN $context.authorizer.error $context.requestId",
        )
        .start();
    let (first, second) = (ours.client("first"), ours.client("second"));
    let leaf = Leaf::client("short").between(-60, 6);
    let short = ours.issue(&leaf);
    let session = running.place.path("session").display().to_string();
    let mut connections = [
        (&first, &["-tls1_2", "-sess_out", &session][..]),
        (&second, &[]),
        (&short, &[]),
    ]
    .map(|(client, more)| {
        let mut connection = Connection::open(&running, client, more);
        assert_eq!(connection.call(), (200, "hello".to_owned()));
        connection
    });
    let [of_first, of_second, of_short] = &mut connections;
    // Its time ends while it is open.
    assert_eq!(poll(|| of_short.call(), |answer| answer.0 == 403).1, REFUSED);
    assert_eq!(status(&running, &root, Some(&short)), None);
    // Its issuer takes it back.
    running.place.write("clients.crl", ours.revocation_list(&[&first]));
    running
        .gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.starts_with("reloaded"));
    assert_eq!(of_first.call(), (403, REFUSED.to_owned()));
    assert_eq!(of_first.call(), (403, REFUSED.to_owned()), "and so on");
    assert_eq!(of_second.call(), (200, "hello".to_owned()));
    assert_eq!(status(&running, &root, Some(&first)), None, "nor can it come back");
    assert_eq!(status(&running, &root, Some(&second)), Some(200));
    // A session that it resumes brings its old certificate along.
    let resumed = running.place.shell(&format!(
        "printf 'GET /a.txt HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client -ign_eof -connect {} -tls1_2 -sess_in '{session}'",
        running.gateway.address()
    ));
    assert!(
        resumed.out.contains("Reused, ") && !resumed.out.contains("hello"),
        "{resumed:?}"
    );
    // Authorities that are taken out of the truststore take their clients along.
    running
        .place
        .write("clients.pem", Authority::root("Others of other length").pem());
    running
        .gateway
        .child()
        .wait_for_line(Stream::Stderr, 1, |line| line.starts_with("reloaded"));
    assert_eq!(of_second.call(), (403, REFUSED.to_owned()));
    drop(connections);
    // Lines are written a moment after their answers.
    for told in [
        "403 CN=first the client's certificate is revoked",
        "403 CN=short the client's certificate is not within",
        "403 CN=second the client's certificate is not from",
    ] {
        let child = running.gateway.child();
        child.wait_for_line(Stream::Stdout, 0, |line| line.starts_with(told));
    }
    running.stop();
}

#[test]
fn what_the_certificate_says_is_told_to_logs_mappings_and_policies() {
    let root = Authority::root("Root");
    let ours = Authority::root("Clients");
    let origin = Nginx::serving("/a.txt", "hello")
        .with("location = /who { return 200 \"$http_x_subject|$http_x_serial\"; }")
        .start();
    let fields = [
        "subjectDN",
        "issuerDN",
        "serialNumber",
        "validity.notBefore",
        "validity.notAfter",
    ];
    let format: Vec<_> = fields
        .iter()
        .map(|field| format!("$context.identity.clientCert.{field}"))
        .collect();
    let leaf = Leaf {
        organization: Some("Example, Ltd".to_owned()),
        ..Leaf::client("ann")
    };
    let (ann, bob) = (ours.issue(&leaf), ours.client("bob"));
    let policy = "x-amazon-apigateway-policy:
  Version: \"2012-10-17\"
  Statement:
    - Effect: Allow
      Principal: \"*\"
      Action: execute-api:Invoke
      Resource: \"execute-api:/*\"
      Condition: {StringLike: {\"portcullis:ClientCertSubject\": \"*CN=ann*\"}}
paths:";
    let setup = asking(&origin, &root, &ours, "mode = \"request\"\ntruststore = \"clients.pem\"")
        .in_document("paths:", policy)
        .in_document(
            "integration.request.header.apikey: \"'an-origin-key'\"",
            "integration.request.header.x-subject: context.identity.clientCert.subjectDN\n          integration.request.header.x-serial: context.identity.clientCert.serialNumber",
        );
    let running = setup
        .access_log("stdout", &(format.join("|") + "|$context.requestId"))
        .start();
    assert_eq!(status(&running, &root, Some(&ann)), Some(200));
    assert_eq!(status(&running, &root, Some(&bob)), Some(403));
    assert_eq!(status(&running, &root, None), Some(403));
    let serial: Vec<_> = ann.serial().iter().map(|byte| format!("{byte:02x}")).collect();
    let serial = serial.join(":");
    let paths = ann.write(&running.place.path(""), "ann");
    let roots = running.place.path("roots.pem").display().to_string();
    let (certificate, key) = (paths.0.display().to_string(), paths.1.display().to_string());
    let told = portcullis_testkit::curl(&[
        "--cacert",
        &roots,
        "--cert",
        &certificate,
        "--key",
        &key,
        &running.gateway.secure_url("/who"),
    ]);
    assert_eq!(told.text(), format!("O=Example\\, Ltd,CN=ann|{serial}"));
    let lines = running.gateway.wait_for_access_log(4);
    let dates = running.place.shell(&format!(
        "openssl x509 -noout -dates -in '{certificate}' | sed 's/.*=//' | paste -sd '|'"
    ));
    let expected = format!("O=Example\\x5c, Ltd,CN=ann|CN=Clients|{serial}|{}|", dates.out.trim());
    // Each worker writes its own lines.
    assert!(
        lines.iter().any(|line| line.starts_with(&expected)),
        "{expected}: {lines:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("-|-|-|-|-|")), "{lines:?}");
    running.stop();
}
