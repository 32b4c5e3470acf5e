#!/bin/sh
# Has sslyze compare listeners with Mozilla's profiles: `intermediate` by default, `modern` with `minimum = "1.3"`.
# sslyze comes from PyPI, at the versions and digests of sslyze.lock, into .tools/sslyze.
set -eu
cd "$(dirname "$0")/.."
. scripts/prepare.sh
prepare_build
install_tools openssl=openssl python3=python3 "=python3-venv/usr/share/doc/python3-venv"

tools=$PWD/.tools/sslyze
if ! cmp -s scripts/sslyze.lock "$tools/lock"; then
    say "installing sslyze into $tools"
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-binary sslyze -r scripts/sslyze.lock
    cp scripts/sslyze.lock "$tools/lock"
fi

say "building the gateway"
cargo build --locked --quiet
gateway=${CARGO_TARGET_DIR:-$PWD/target}/debug/portcullis

place=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$place"' EXIT
trap 'exit 130' INT TERM
cd "$place"
key() { openssl ecparam -genkey -name prime256v1 -noout -out "$1"; }
key root.key
openssl req -x509 -key root.key -days 800 -subj /CN=Root -out root.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
key server.key
openssl req -new -key server.key -subj /CN=localhost -out server.csr
cat >extensions <<'END'
subjectAltName=DNS:localhost
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
END
openssl x509 -req -in server.csr -CA root.pem -CAkey root.key -days 80 -extfile extensions -out server.pem 2>/dev/null

cat >portcullis.toml <<'END'
data_dir = "data"
[[listeners]]
address = "127.0.0.1:0"
connections_max = 100
[listeners.tls]
certificates = [{ certificate = "server.pem", key = "server.key" }]
[[listeners]]
address = "127.0.0.1:0"
connections_max = 100
[listeners.tls]
certificates = [{ certificate = "server.pem", key = "server.key" }]
minimum = "1.3"
[[apis]]
id = "scan"
document = "scan.yaml"
[[apis.stages]]
name = "SCAN"
mount = "/"
END
cat >scan.yaml <<'END'
openapi: 3.0.1
info: {title: Scan, version: "1"}
paths:
  /:
    get:
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        responses: {default: {statusCode: "200"}}
END
"$gateway" serve >/dev/null 2>said &
pid=$!
waited=0
until [ "$(grep -c 'listening on https://' said)" -eq 2 ]; do
    kill -0 "$pid" 2>/dev/null && [ $waited -lt 100 ] || { cat said >&2; die "the gateway does not start"; }
    waited=$((waited + 1))
    sleep 0.1
done

profile=intermediate
for port in $(sed -n 's/.*listening on https:.*:\([0-9]*\)$/\1/p' said); do
    if "$tools/bin/python" -m sslyze --certinfo_ca_file root.pem --mozilla_config $profile "localhost:$port" >scanned 2>&1; then
        echo "$profile: compliant"
    else
        cat scanned
        die "the listener does not comply with Mozilla's $profile profile"
    fi
    profile=modern
done
