//! The seeds of the fuzzers, run as they are and with a byte changed here and there.

use portcullis_policy::{Policy, PolicyTemplate, fuzzing::fuzz_policy};

#[test]
fn seeds_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz-corpus/policy");
    let mut read = 0;
    let mut accepted = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        fuzz_policy(&seed);
        let text = String::from_utf8_lossy(&seed);
        let value = serde_json::from_str(&text).unwrap_or_default();
        let is_policy = Policy::parse(&text).is_ok() || PolicyTemplate::parse(&value).is_ok();
        accepted += usize::from(is_policy || Policy::resource_policy(&value, "arn:aws:execute-api:a:b:c").is_ok());
        read += 1;
        for at in 0..seed.len() {
            for byte in [b'"', b'$', b'{', b'*', b'0', 0xff] {
                let mut changed = seed.clone();
                changed[at] = byte;
                fuzz_policy(&changed);
            }
            fuzz_policy(&seed[..at]);
        }
    }
    assert!(read >= 8 && accepted >= 6 && accepted < read, "{accepted} of {read}");
}
