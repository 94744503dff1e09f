use super::super::score::score;
use super::*;
use crate::ship::Random;

/// A Poisson draw (Knuth).
fn poisson(random: &mut Random, mean: f64) -> f64 {
    let (limit, mut product, mut count) = ((-mean).exp(), random.unit(), 0.0);
    while product > limit {
        product *= random.unit();
        count += 1.0;
    }
    count
}

#[test]
fn chance_is_out_of_the_ordinary_as_rarely_as_it_says() {
    for (name, kind, mean) in [
        ("rare", Kind::Count, 0.05),
        ("few", Kind::Count, 1.0),
        ("some", Kind::Count, 12.0),
        ("many", Kind::Count, 200.0),
        ("latency", Kind::Continuous, 0.0),
    ] {
        let mut random = Random::new(7);
        let (mut below_3, mut below_5) = (0u32, 0u32);
        let mut buckets = 0u32;
        for _ in 0..20 {
            let mut series = Series::new(kind, 60);
            for at in 0..5_000i64 {
                let value = match kind {
                    Kind::Count => poisson(&mut random, mean),
                    _ => random.log_normal(20.0, 0.3),
                };
                let p = series.push(at * 60, value).p;
                buckets += 1;
                below_3 += u32::from(p < 1e-3);
                below_5 += u32::from(p < 1e-5);
            }
        }
        println!("{name}: {below_3} of {buckets} below 1e-3, {below_5} below 1e-5");
        // Twice what it says, and the noise of counting.
        assert!(below_3 <= buckets / 500 && below_5 <= 5, "{name}: {below_3} {below_5}");
    }
}

#[test]
fn a_burst_of_what_is_rare_is_out_of_the_ordinary_and_a_shift_is_adopted() {
    let mut random = Random::new(3);
    let mut series = Series::new(Kind::Count, 60);
    for at in 0..300 {
        series.push(at * 60, poisson(&mut random, 1.2));
    }
    assert!(series.peek(0, 14.0).p < 1e-7, "{:?}", series.peek(0, 14.0));
    assert!(series.peek(0, 4.0).p > 1e-3);
    // The new level is told for a while, then it is the level.
    let off = (0..120).filter(|at| series.push(18_000 + at * 60, poisson(&mut random, 30.0)).p < 1e-6).count();
    assert!((5..=45).contains(&off), "{off} buckets told");
    assert!((20.0..40.0).contains(&series.peek(0, 30.0).typical));
    // Silence adds up.
    let silent: Vec<f64> = (0..4).map(|at| series.push(90_000 + at * 60, 0.0).p).collect();
    assert!(silent[1] < silent[0] && silent[3] < 1e-9, "{silent:?}");
}

#[test]
fn whatever_comes_probabilities_are_probabilities() {
    let mut random = Random::new(9);
    for kind in [Kind::Count, Kind::Continuous, Kind::Plain] {
        let mut series = Series::new(kind, 60);
        for at in 0..3_000i64 {
            let value = match random.below(8) {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => -1e300,
                3 => 1e300,
                4 => 0.0,
                _ => random.unit() * 10.0,
            };
            let scored = series.push(at * 60, value);
            assert!((0.0..=1.0).contains(&scored.p) && !scored.typical.is_nan(), "{kind:?} {value} {scored:?}");
        }
    }
}

/// A draw of a standard normal (Box-Muller).
fn normal(random: &mut Random) -> f64 {
    (-2.0 * random.unit().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
}

/// How far into the day, as a wave of -1 to 1.
fn wave(at: i64) -> f64 {
    (at as f64 / 1_440.0 * std::f64::consts::TAU).sin()
}

#[test]
fn scores_come_as_rarely_as_they_say_on_any_stationary_series() {
    // 60 s buckets: a score of 25 is once in 600 of them, 50 once in 6,000, 75 once in 60,000.
    const BUCKETS: i64 = 60_000;
    // How wild a series is has to be seen first: two days.
    const LEARNED: i64 = 2_880;
    const SERIES: u64 = 5;
    type Draw = fn(&mut Random, &mut f64, i64) -> f64;
    let kinds: [(&str, Kind, Draw); 8] = [
        ("gaussian", Kind::Plain, |r, _, _| 50.0 + normal(r)),
        ("poisson 0.2", Kind::Count, |r, _, _| poisson(r, 0.2)),
        ("poisson 20", Kind::Count, |r, _, _| poisson(r, 20.0)),
        ("lognormal", Kind::Continuous, |r, _, _| r.log_normal(20.0, 0.8)),
        ("heavy tail (t, 3)", Kind::Plain, |r, _, _| {
            let chi = (0..3).map(|_| normal(r).powi(2)).sum::<f64>() / 3.0;
            normal(r) / chi.sqrt()
        }),
        ("daily season", Kind::Count, |r, _, at| poisson(r, 40.0 + 30.0 * wave(at))),
        ("autocorrelated (0.8)", Kind::Plain, |r, last, _| {
            *last = 0.8 * *last + normal(r);
            *last
        }),
        ("bursty counts", Kind::Count, |r, _, _| {
            let level = r.log_normal(10.0, 0.5);
            poisson(r, level)
        }),
    ];
    let mut wrong = Vec::new();
    for (name, kind, draw) in kinds {
        let mut above = [0u32; 3];
        for seed in 0..SERIES {
            let (mut random, mut last, mut series) = (Random::new(seed + 11), 0.0, Series::new(kind, 60));
            for at in 0..BUCKETS {
                let value = draw(&mut random, &mut last, at);
                let score = score(series.push(at * 60, value).p, 60, 1.0);
                for (count, least) in above.iter_mut().zip([25.0, 50.0, 75.0]) {
                    *count += u32::from(score >= least && at >= LEARNED);
                }
            }
        }
        let all = ((BUCKETS - LEARNED) * SERIES as i64) as f64;
        let rates = [0, 1, 2].map(|band| f64::from(above[band]) / (all / [600.0, 6_000.0, 60_000.0][band]));
        println!("{name:22} times as often as said: 25 {:.2}, 50 {:.2}, 75 {:.2}", rates[0], rates[1], rates[2]);
        // Five of the rarest are expected: three times as many is within the noise of counting. Where the variance of the
        // variance is infinite, as of t with 3 degrees, what was never as far comes more often than was learned.
        let most = if name.starts_with("heavy") { [2.0, 3.0, 8.0] } else { [1.0, 1.5, 3.0] };
        if rates.iter().zip(most).any(|(rate, most)| *rate > most) {
            wrong.push((name, rates));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_daily_peak_is_news_once_and_one_at_another_time_is_news_again() {
    let mut random = Random::new(4);
    let mut series = Series::new(Kind::Count, 60);
    let mut told = [0usize; 6];
    for at in 0..6 * 1_440i64 {
        // Half an hour of work each night at 3, some minutes sooner or later.
        let (day, minute) = (at / 1_440, at % 1_440);
        let from = 180 + day % 3 * 7;
        let mean = if (from..from + 30).contains(&minute) { 120.0 } else { 10.0 };
        told[day as usize] += usize::from(series.push(at * 60, poisson(&mut random, mean)).p < 1e-6);
    }
    println!("told by day: {told:?}");
    assert!(told[0] >= 5 && told[1..].iter().all(|told| *told <= 1), "{told:?}");
    let noon = 6 * 1_440 + 720;
    assert!(series.peek(noon * 60, 120.0).p < 1e-6);
    // More than yesterday's peak is news in it, too.
    assert!(series.peek((6 * 1_440 + 190) * 60, 400.0).p < 1e-6);
}

#[test]
fn a_saved_series_goes_on_as_if_nothing_had_been() {
    let mut random = Random::new(8);
    for kind in [Kind::Count, Kind::Continuous, Kind::Plain] {
        let (mut whole, mut saved) = (Series::new(kind, 60), Series::new(kind, 60));
        for at in 0..2_000i64 {
            let value = if at % 97 == 0 { f64::NAN } else { poisson(&mut random, 6.0) * 1.7 };
            let mut bytes = Vec::new();
            saved.save(&mut bytes);
            saved = Series::load(&mut &bytes[..]).unwrap();
            let (a, b) = (whole.push(at * 60, value), saved.push(at * 60, value));
            assert_eq!((a.p.to_bits(), a.typical.to_bits()), (b.p.to_bits(), b.typical.to_bits()), "{kind:?} {at}");
        }
        assert!(whole.bytes() <= 4 << 10, "{} bytes hot", whole.bytes());
        assert!(Series::new(kind, 60).bytes() <= 512);
    }
}
