//! Certificates for tests: authorities, what they issue, what they take back.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    PublicKeyData, RevokedCertParams, SerialNumber, date_time_ymd,
};

/// A certification authority: a root, or an intermediate below one. Its key is P-256, its time ten years.
///
/// ```
/// # use portcullis_testkit::pki::Authority;
/// let root = Authority::root("Test root");
/// let server = root.server(&["localhost", "*.example.com"]);
/// let client = root.intermediate("Test clients").client("ann");
/// assert!(server.chain().starts_with("-----BEGIN CERTIFICATE-----"));
/// assert_eq!(client.chain().matches("BEGIN CERTIFICATE").count(), 2);
/// ```
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its certificate and those above it, without the root.
    chain: String,
}

/// A certificate with its chain and key.
#[derive(Clone, Debug)]
pub struct Identity {
    chain: String,
    key: String,
    serial: Vec<u8>,
}

/// What a certificate shall say.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Who it is about.
    pub common_name: String,
    /// The organisation, where one shall be named.
    pub organization: Option<String>,
    /// DNS names and IP addresses.
    pub names: Vec<String>,
    /// From when on it is valid, in seconds from now.
    pub from_s: i64,
    /// Until when.
    pub until_s: i64,
    /// RSA of 2048 bits in place of P-256.
    pub is_rsa: bool,
    /// For a client in place of a server.
    pub is_client: bool,
}

const DAY_S: i64 = 86_400;

// === impl Authority ===

impl Authority {
    /// One that signs itself.
    #[track_caller]
    pub fn root(name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap();
        Self {
            issuer,
            chain: String::new(),
        }
    }

    /// One below this one.
    #[track_caller]
    pub fn intermediate(&self, name: &str) -> Self {
        let issuer = CertifiedIssuer::signed_by(authority(name), KeyPair::generate().unwrap(), &self.issuer).unwrap();
        let chain = issuer.pem() + &self.chain;
        Self { issuer, chain }
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server of these names, valid for 90 days.
    #[track_caller]
    pub fn server(&self, names: &[&str]) -> Identity {
        self.issue(&Leaf::server(names))
    }

    /// A client, valid for 90 days.
    #[track_caller]
    pub fn client(&self, common_name: &str) -> Identity {
        self.issue(&Leaf::client(common_name))
    }

    /// Whatever `leaf` says.
    #[track_caller]
    pub fn issue(&self, leaf: &Leaf) -> Identity {
        let key = leaf.key();
        let params = leaf.params(&key);
        let serial = params.serial_number.clone().unwrap().to_bytes();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: certificate.pem() + &self.chain,
            key: key.serialize_pem(),
            serial,
        }
    }

    /// A revocation list in PEM that is good for a day.
    #[track_caller]
    pub fn revocation_list(&self, revoked: &[&Identity]) -> String {
        self.revocation_list_until(revoked, DAY_S)
    }

    /// One that ends so many seconds from now.
    #[track_caller]
    pub fn revocation_list_until(&self, revoked: &[&Identity], until_s: i64) -> String {
        let revoked_certs = revoked.iter().map(|identity| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&identity.serial),
            revocation_time: time(-60),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: time(until_s.min(0) - DAY_S),
            next_update: time(until_s),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

// === impl Identity ===

impl Identity {
    /// One that nobody issued but itself.
    #[track_caller]
    pub fn self_signed(leaf: &Leaf) -> Self {
        let key = leaf.key();
        let params = leaf.params(&key);
        Self {
            chain: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
            serial: params.serial_number.unwrap().to_bytes(),
        }
    }

    /// The certificate and the intermediates above it in PEM.
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// The private key in PEM (PKCS #8).
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The serial number as it stands in the certificate.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Writes `NAME.pem` and `NAME.key` and gives their paths.
    #[track_caller]
    pub fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let paths = [".pem", ".key"].map(|end| directory.join(format!("{name}{end}")));
        std::fs::write(&paths[0], &self.chain).unwrap();
        std::fs::write(&paths[1], &self.key).unwrap();
        let [certificate, key] = paths;
        (certificate, key)
    }
}

// === impl Leaf ===

impl Leaf {
    /// A server of these names, valid for 90 days.
    pub fn server(names: &[&str]) -> Self {
        Self {
            common_name: names.first().copied().unwrap_or("server").to_owned(),
            organization: None,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            from_s: -DAY_S,
            until_s: 89 * DAY_S,
            is_rsa: false,
            is_client: false,
        }
    }

    /// A client, valid for 90 days.
    pub fn client(common_name: &str) -> Self {
        Self {
            common_name: common_name.to_owned(),
            names: Vec::new(),
            is_client: true,
            ..Self::server(&[])
        }
    }

    /// Valid from and until so many seconds from now.
    pub fn between(self, from_s: i64, until_s: i64) -> Self {
        Self {
            from_s,
            until_s,
            ..self
        }
    }

    /// With an RSA key.
    pub fn rsa(self) -> Self {
        Self { is_rsa: true, ..self }
    }

    fn key(&self) -> KeyPair {
        let algorithm = if self.is_rsa {
            &PKCS_RSA_SHA256
        } else {
            &PKCS_ECDSA_P256_SHA256
        };
        KeyPair::generate_for(algorithm).unwrap()
    }

    fn params(&self, key: &KeyPair) -> CertificateParams {
        let mut params = CertificateParams::new(self.names.clone()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name.clone());
        if let Some(organization) = &self.organization {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organization.clone());
        }
        params.not_before = time(self.from_s);
        params.not_after = time(self.until_s);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let usage = match self.is_client {
            true => ExtendedKeyUsagePurpose::ClientAuth,
            false => ExtendedKeyUsagePurpose::ServerAuth,
        };
        params.extended_key_usages = vec![usage];
        // Drawn from the key, which is random; neither negative nor with a leading zero.
        let public = key.der_bytes();
        let mut serial = public[public.len() / 2..][..8].to_vec();
        serial[0] = serial[0] & 0x3f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.not_before = time(-DAY_S);
    params.not_after = time(3_650 * DAY_S);
    params
}

/// So many seconds from now.
fn time(from_now_s: i64) -> time::OffsetDateTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seconds = i64::try_from(now).unwrap() + from_now_s;
    date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.try_into().unwrap())
}
