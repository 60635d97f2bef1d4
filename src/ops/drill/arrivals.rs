//! When each click is meant to happen and whose it is: fixed before the first one is sent (an open model), so a slow
//! shop cannot slow its buyers down, and repeatable by the seed.

use std::time::Duration;

/// How the clicks lie in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arrivals {
    /// So many a second on average, at random instants.
    Poisson(f64),
    /// So many a second, at equal distances.
    Even(f64),
    /// All at once.
    Burst,
}

/// One planned click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlannedClick {
    /// After the start.
    pub at: Duration,
    /// Index of the buyer.
    pub buyer: usize,
}

/// A repeatable sequence of numbers (`SplitMix64`); for plans, never for secrets.
#[derive(Clone, Debug)]
pub(super) struct Sequence(u64);

impl Sequence {
    /// The sequence of a seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In (0, 1].
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Puts `things` in an order of its own (Fisher-Yates).
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = usize::try_from(self.next() % (last as u64 + 1)).unwrap_or(0);
            things.swap(last, other);
        }
    }
}

/// Every buyer clicks `clicks` times, in a shuffled order.
pub(super) fn plan(arrivals: Arrivals, buyers: usize, clicks: usize, seed: u64) -> Vec<PlannedClick> {
    let mut sequence = Sequence::new(seed);
    let mut order: Vec<usize> = (0..clicks).flat_map(|_| 0..buyers).collect();
    sequence.shuffle(&mut order);
    let mut at_s = 0.0;
    order
        .into_iter()
        .map(|buyer| {
            let click = PlannedClick { at: Duration::from_secs_f64(at_s), buyer };
            at_s += match arrivals {
                Arrivals::Poisson(rate) => -sequence.unit().ln() / rate,
                Arrivals::Even(rate) => rate.recip(),
                Arrivals::Burst => 0.0,
            };
            click
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_plans_the_same_and_another_seed_does_not() {
        let plan_of = |seed| plan(Arrivals::Poisson(100.0), 50, 2, seed);
        assert_eq!(plan_of(7), plan_of(7));
        assert_ne!(plan_of(7), plan_of(8));
    }

    #[test]
    fn every_buyer_clicks_as_often_as_asked_in_ascending_time() {
        let plan = plan(Arrivals::Poisson(1_000.0), 200, 3, 1);
        assert_eq!(plan.len(), 600);
        assert!((0..200).all(|buyer| plan.iter().filter(|click| click.buyer == buyer).count() == 3));
        assert!(plan.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_chance() {
        let plan = plan(Arrivals::Poisson(2_000.0), 20_000, 1, 42);
        let length_s = plan.last().unwrap().at.as_secs_f64();
        assert!((9.5..10.5).contains(&length_s), "{length_s}");
        // of exponential gaps, a share of 1 - 1/e = 63 % is below the mean
        let short = plan.windows(2).filter(|pair| pair[1].at - pair[0].at < Duration::from_micros(500)).count();
        assert!((12_200..13_100).contains(&short), "{short}");
    }

    #[test]
    fn even_arrivals_have_equal_gaps_and_a_burst_has_none() {
        let even = plan(Arrivals::Even(100.0), 11, 1, 1);
        assert!((even[10].at.as_secs_f64() - 0.1).abs() < 1e-6);
        assert!(plan(Arrivals::Burst, 9, 1, 1).iter().all(|click| click.at.is_zero()));
    }
}
