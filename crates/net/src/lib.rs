//! Listeners, HTTP/1.1 on both sides, upstream pools and tunnels.
