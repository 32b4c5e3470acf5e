//! `redis://host:port/database`, without anything secret in it.

use std::str::FromStr;

/// Where a Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// Whether TLS is spoken (`rediss://`).
    pub tls: bool,
    /// A name, or an address without brackets.
    pub host: String,
    /// The port; 6379 when absent.
    pub port: u16,
    /// The database's number; 0 when absent.
    pub database: u16,
}

/// Why a text is no address of a Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisAddressError {
    /// A name or password stands before the host.
    #[error("it holds a name or a password")]
    Credentials,
    /// The database is no number.
    #[error("the database behind the slash is not a number of 0 to 65535")]
    Database,
    /// There is no host, or it is not one.
    #[error("there is no host in it")]
    Host,
    /// The port is none.
    #[error("the port is not a number of 1 to 65535")]
    Port,
    /// It begins otherwise.
    #[error("it begins with neither `redis://` nor `rediss://`")]
    Scheme,
}

const PORT: u16 = 6_379;

impl FromStr for RedisAddress {
    type Err = RedisAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tls, rest) = match (text.strip_prefix("redis://"), text.strip_prefix("rediss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) => return Err(RedisAddressError::Scheme),
        };
        if rest.contains('@') {
            return Err(RedisAddressError::Credentials);
        }
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => 0,
            digits => digits.parse().map_err(|_| RedisAddressError::Database)?,
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once(']').ok_or(RedisAddressError::Host)?;
                host.parse::<std::net::Ipv6Addr>()
                    .map_err(|_| RedisAddressError::Host)?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            },
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(RedisAddressError::Host);
        }
        let port = match port.ok_or(RedisAddressError::Port)? {
            "" => PORT,
            digits => digits
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(RedisAddressError::Port)?,
        };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            database,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let check = |text: &str, expected: Result<(bool, &str, u16, u16), RedisAddressError>| {
            let expected = expected.map(|(tls, host, port, database)| RedisAddress {
                tls,
                host: host.to_owned(),
                port,
                database,
            });
            assert_eq!(text.parse(), expected, "{text}");
        };
        check("redis://127.0.0.1:6380", Ok((false, "127.0.0.1", 6380, 0)));
        check("redis://cache.internal/3", Ok((false, "cache.internal", 6379, 3)));
        check("rediss://cache.internal:1/", Ok((true, "cache.internal", 1, 0)));
        check("redis://[::1]:7", Ok((false, "::1", 7, 0)));
        check("redis://[::1]", Ok((false, "::1", 6379, 0)));
        check("redis://me:pw@h", Err(RedisAddressError::Credentials));
        check("redis://h/x", Err(RedisAddressError::Database));
        check("redis://h/65536", Err(RedisAddressError::Database));
        check("redis://", Err(RedisAddressError::Host));
        check("redis://:1", Err(RedisAddressError::Host));
        check("redis://[h]:1", Err(RedisAddressError::Host));
        check("redis://a b", Err(RedisAddressError::Host));
        check("redis://h:0", Err(RedisAddressError::Port));
        check("redis://h:65536", Err(RedisAddressError::Port));
        check("redis://[::1]x", Err(RedisAddressError::Port));
        check("http://h", Err(RedisAddressError::Scheme));
        check("127.0.0.1:6379", Err(RedisAddressError::Scheme));
    }
}
