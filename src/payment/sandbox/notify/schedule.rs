//! When an unacknowledged notification is sent again.

use crate::payment::sandbox::rules::{Provider, Wire};

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;

/// Waits before the second, third, … delivery at WeChat Pay, seconds: 24 h 4 min in all.
const WECHAT_S: [i64; 15] = [
    15,
    15,
    30,
    3 * MINUTE_S,
    10 * MINUTE_S,
    20 * MINUTE_S,
    30 * MINUTE_S,
    30 * MINUTE_S,
    30 * MINUTE_S,
    HOUR_S,
    3 * HOUR_S,
    3 * HOUR_S,
    3 * HOUR_S,
    6 * HOUR_S,
    6 * HOUR_S,
];
/// The same at Alipay: 25 hours.
const ALIPAY_S: [i64; 7] = [4 * MINUTE_S, 10 * MINUTE_S, 10 * MINUTE_S, HOUR_S, 2 * HOUR_S, 6 * HOUR_S, 15 * HOUR_S];

/// The wait after the `attempts`-th delivery (1 is the first), ms; `None`: it was the last. A time scale of 60 makes
/// minutes of hours.
pub(super) fn wait_ms(wire: Wire, attempts: u32, time_scale: u32) -> Option<i64> {
    let waits: &[i64] = match wire.provider() {
        Provider::Wechat => &WECHAT_S,
        Provider::Alipay => &ALIPAY_S,
    };
    let at = usize::try_from(attempts).ok()?.checked_sub(1)?;
    waits.get(at).map(|seconds| seconds * 1_000 / i64::from(time_scale.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedules_are_the_providers() {
        let all = |wire| (1..).map_while(|attempts| wait_ms(wire, attempts, 1)).collect::<Vec<_>>();
        assert_eq!(all(Wire::V3).iter().sum::<i64>(), (24 * 3_600 + 4 * 60) * 1_000);
        assert_eq!((all(Wire::V2).len(), all(Wire::V2)[..3].to_vec()), (15, vec![15_000, 15_000, 30_000]));
        assert_eq!((all(Wire::Alipay).len(), all(Wire::Alipay)[0]), (7, 240_000));
        assert_eq!(wait_ms(Wire::V3, 0, 1), None);
        assert_eq!(wait_ms(Wire::V3, 1, 100), Some(150));
    }
}
