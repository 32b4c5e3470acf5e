//! JWT, JWS and JWK with keys parsed once.
