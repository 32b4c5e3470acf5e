//! Looking at a client's frames as they pass, before they are acted on (RFC 9113 section 4.1).
//!
//! Whatever a frame means is the `h2` crate's business. Here each is only charged what it makes us do beside serving requests,
//! and it is known whether the client stands in the middle of something that must not take for ever.

use std::time::Duration;

use tokio::time::Instant;

/// What a client must send first (RFC 9113 section 3.4).
pub(in crate::server) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most that a client can have saved up.
const POINTS_MAX: u64 = 2_000;
/// What it earns in a second.
const POINTS_PER_S: u64 = 200;
/// It earns a point with so many bytes that it takes from us: whoever reads answers sends window updates.
const BYTES_PER_POINT: u64 = 1_024;

// Types (RFC 9113 section 6) and flags.
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

const FRAME_HEADER_BYTES: usize = 9;

/// Follows a client's bytes from frame to frame.
#[derive(Debug)]
pub(super) struct Frames {
    preface_left: usize,
    header: [u8; FRAME_HEADER_BYTES],
    header_filled: usize,
    payload_left: usize,
    /// The type of the frame whose payload is passing.
    kind: u8,
    /// Fields were begun and their last frame has not come.
    is_block_open: bool,
    /// Counts heads and frames that ended, so that it can be told whether the same one still lasts.
    ended: u64,
}

/// What a client may still cost us. Time and honest work fill it up again.
#[derive(Debug)]
pub(super) struct Allowance {
    points: u64,
    /// Not yet enough for a point.
    bytes_taken: u64,
    filled: Instant,
}

// === impl Frames ===

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            preface_left: PREFACE.len(),
            header: [0; FRAME_HEADER_BYTES],
            header_filled: 0,
            payload_left: 0,
            kind: DATA,
            is_block_open: false,
            ended: 0,
        }
    }

    /// What these bytes cost in points.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> u64 {
        let preface = bytes.len().min(self.preface_left);
        self.preface_left -= preface;
        bytes = &bytes[preface..];
        let mut cost = 0_u64;
        while !bytes.is_empty() {
            if self.header_filled < FRAME_HEADER_BYTES {
                let taken = bytes.len().min(FRAME_HEADER_BYTES - self.header_filled);
                self.header[self.header_filled..self.header_filled + taken].copy_from_slice(&bytes[..taken]);
                self.header_filled += taken;
                bytes = &bytes[taken..];
                if self.header_filled == FRAME_HEADER_BYTES {
                    cost = cost.saturating_add(self.begin());
                }
            } else {
                let taken = bytes.len().min(self.payload_left);
                self.payload_left -= taken;
                bytes = &bytes[taken..];
            }
            if self.header_filled == FRAME_HEADER_BYTES && self.payload_left == 0 {
                self.header_filled = 0;
                self.ended += u64::from(!self.is_block_open);
            }
        }
        cost
    }

    /// The number of what has begun and not ended: the preface, a head with its continuations, any other frame but a piece of a
    /// body, whose time is measured where it is read.
    pub(super) fn unfinished(&self) -> Option<u64> {
        let is_inside = self.header_filled > 0 && !(self.header_filled == FRAME_HEADER_BYTES && self.kind == DATA);
        (self.preface_left > 0 || self.is_block_open || is_inside).then_some(self.ended)
    }

    /// A frame's header is there: what it costs.
    fn begin(&mut self) -> u64 {
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.payload_left = length as usize;
        self.kind = kind;
        match kind {
            HEADERS => self.is_block_open = flags & END_HEADERS == 0,
            CONTINUATION => self.is_block_open &= flags & END_HEADERS == 0,
            _ => {}
        }
        match kind {
            DATA if length == 0 && flags & END_STREAM == 0 => 5,
            // Requests and their bodies are bounded elsewhere, by number and by size.
            DATA | HEADERS => 0,
            RST_STREAM => 10,                        // what was begun for the stream was begun in vain
            SETTINGS => 10 + u64::from(length / 60), // is answered, and may touch every stream
            CONTINUATION | GOAWAY => 10,             // no honest head needs many
            PING => 5,                               // is answered
            WINDOW_UPDATE => 1,
            PRIORITY => 2,
            _ => 2 + u64::from(length / 4_096), // an extension that is not known must be skipped (RFC 9113 section 5.5)
        }
    }
}

// === impl Allowance ===

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            points: POINTS_MAX,
            bytes_taken: 0,
            filled: now,
        }
    }

    /// Takes `cost` off; `false` when there is not as much.
    pub(super) fn charge(&mut self, cost: u64) -> bool {
        let left = self.points.checked_sub(cost);
        self.points = left.unwrap_or(0);
        left.is_some()
    }

    /// The client took so many bytes.
    pub(super) fn took(&mut self, bytes: u64) {
        self.bytes_taken += bytes;
        self.earn(self.bytes_taken / BYTES_PER_POINT);
        self.bytes_taken %= BYTES_PER_POINT;
    }

    /// Time has passed.
    pub(super) fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled);
        let earned = u64::try_from(passed.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_mul(POINTS_PER_S)
            / 1_000;
        if earned == 0 {
            return; // what is less than a point adds up to one
        }
        self.earn(earned);
        self.filled += Duration::from_millis(earned.saturating_mul(1_000) / POINTS_PER_S);
        if self.points == POINTS_MAX {
            self.filled = now;
        }
    }

    fn earn(&mut self, points: u64) {
        self.points = self.points.saturating_add(points).min(POINTS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    /// A connection that has sent its preface, then `frames`.
    fn passed(frames: &[Vec<u8>]) -> (u64, Option<u64>) {
        let mut subject = Frames::new();
        assert_eq!(subject.pass(PREFACE), 0);
        let cost = subject.pass(&frames.concat());
        (cost, subject.unfinished())
    }

    #[test]
    fn each_frame_has_its_price() {
        for (frames, cost) in [
            (vec![], 0),
            (
                vec![
                    frame(HEADERS, END_HEADERS, b"abc"),
                    frame(DATA, 0, b"body"),
                    frame(DATA, END_STREAM, b""),
                ],
                0,
            ),
            (vec![frame(DATA, 0, b"")], 5),
            (vec![frame(RST_STREAM, 0, &[0; 4]), frame(RST_STREAM, 0, &[0; 4])], 20),
            (vec![frame(SETTINGS, 0, &[])], 10),
            (vec![frame(SETTINGS, 0, &[0; 600])], 20),
            (vec![frame(PING, 0, &[0; 8])], 5),
            (vec![frame(WINDOW_UPDATE, 0, &[0; 4])], 1),
            (vec![frame(PRIORITY, 0, &[0; 5])], 2),
            (
                vec![
                    frame(HEADERS, 0, b""),
                    frame(CONTINUATION, 0, b""),
                    frame(CONTINUATION, END_HEADERS, b""),
                ],
                20,
            ),
            (vec![frame(0xee, 0, &[0; 8_192])], 4),
        ] {
            assert_eq!(passed(&frames), (cost, None), "{frames:?}");
        }
    }

    #[test]
    fn it_is_known_what_has_not_ended() {
        let mut subject = Frames::new();
        assert!(subject.unfinished().is_some(), "the preface is owed");
        subject.pass(&PREFACE[..23]);
        assert!(subject.unfinished().is_some());
        subject.pass(&PREFACE[23..]);
        assert_eq!(subject.unfinished(), None);
        let head = frame(HEADERS, 0, b"abc");
        subject.pass(&head[..1]);
        let begun = subject.unfinished();
        assert!(begun.is_some(), "part of a frame's header");
        subject.pass(&head[1..]);
        assert_eq!(subject.unfinished(), begun, "a head that goes on is the same head");
        subject.pass(&frame(CONTINUATION, 0, b"abc"));
        assert_eq!(subject.unfinished(), begun);
        subject.pass(&frame(CONTINUATION, END_HEADERS, b"abc"));
        assert_eq!(subject.unfinished(), None);
        subject.pass(&frame(DATA, 0, b"abc")[..10]);
        assert_eq!(subject.unfinished(), None, "a body has its own patience");
        subject.pass(b"bc");
        subject.pass(&frame(PING, 0, &[0; 8])[..12]);
        assert!(subject.unfinished().is_some_and(|now| Some(now) != begun));
    }

    #[test]
    fn an_allowance_is_spent_and_earned() {
        let begun = Instant::now();
        let mut subject = Allowance::new(begun);
        assert!(subject.charge(POINTS_MAX));
        assert!(!subject.charge(1), "all is spent");
        subject.took(BYTES_PER_POINT - 1);
        assert!(!subject.charge(1));
        subject.took(1);
        assert!(subject.charge(1), "an answer was read");
        for millis in 1..=4 {
            subject.refill(begun + Duration::from_millis(millis));
            assert!(!subject.charge(1), "{millis}");
        }
        subject.refill(begun + Duration::from_millis(5));
        assert!(subject.charge(1), "time has passed, in however small steps");
        subject.refill(begun + Duration::from_secs(3_600));
        assert!(
            subject.charge(POINTS_MAX) && !subject.charge(1),
            "no more than that is saved up"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn how_the_bytes_are_cut_changes_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200), cuts in prop::collection::vec(0_usize..200, 0..8)) {
            let mut whole = Frames::new();
            let cost = whole.pass(&bytes);
            let mut pieces = Frames::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: u64 = cuts.windows(2).map(|pair| pieces.pass(&bytes[pair[0]..pair[1]])).sum();
            prop_assert_eq!((parts, pieces.unfinished()), (cost, whole.unfinished()));
        }
    }
}
