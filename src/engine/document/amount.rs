//! Exact sums of doubles.
//!
//! Every finite double is a whole multiple of the smallest positive one, 2^-1074, so a sum of
//! doubles is a big integer in that unit, whatever the order. Rounding happens once, when a sum is
//! read. Whole numbers, nearly all that counters ever see, stay machine integers.

use num_bigint::{BigInt, Sign};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 2^-1074 is the unit of [`Amount::Exact`].
const UNIT_BITS: u64 = 1074;
/// Bits of the largest sum kept: the largest double times 2^64 increments.
const MAGNITUDE_BYTES_MAX: usize = (1074 + 1024 + 64) / 8 + 1;
/// Whole numbers beyond this are kept exact in the other form.
const WHOLE_MAX: i64 = 1 << 62;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    Whole(i64),
    /// In units of 2^-1074. Never a number that fits `Whole`.
    Exact(Box<BigInt>),
}

impl Amount {
    pub const ZERO: Amount = Amount::Whole(0);

    /// `value` must be finite.
    pub fn from_f64(value: f64) -> Self {
        debug_assert!(value.is_finite());
        if value.fract() == 0.0 && value.abs() <= (1u64 << 53) as f64 {
            return Amount::Whole(value as i64);
        }
        let bits = value.abs().to_bits();
        let exponent = bits >> 52;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, shift) =
            if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        let magnitude = BigInt::from(mantissa) << shift;
        Self::normal(if value < 0.0 { -magnitude } else { magnitude })
    }

    /// The nearest double, ties to even; beyond the largest finite one, that one.
    pub fn to_f64(&self) -> f64 {
        let exact = match self {
            Amount::Whole(whole) => return *whole as f64,
            Amount::Exact(exact) => exact,
        };
        let bits = exact.bits();
        let magnitude = exact.magnitude();
        // The upper 64 bits, the lowest of them set if anything below is: enough to round once.
        let cut = bits.saturating_sub(64);
        let upper = (magnitude >> cut).iter_u64_digits().next().unwrap_or(0);
        let sticky = cut > 0 && magnitude.trailing_zeros().is_some_and(|zeros| zeros < cut);
        let rounded = (upper | u64::from(sticky)) as f64;
        let exponent = cut as i32 - UNIT_BITS as i32;
        let scaled = rounded * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2);
        let clamped = scaled.min(f64::MAX);
        if exact.sign() == Sign::Minus {
            -clamped
        } else {
            clamped
        }
    }

    /// What it takes beside itself, about.
    pub fn bytes_beside(&self) -> usize {
        match self {
            Amount::Whole(_) => 0,
            Amount::Exact(exact) => size_of::<BigInt>() + exact.bits() as usize / 8,
        }
    }

    pub fn is_zero(&self) -> bool {
        *self == Amount::ZERO
    }

    pub fn plus(&self, other: &Amount) -> Amount {
        if let (Amount::Whole(a), Amount::Whole(b)) = (self, other) {
            if let Some(sum) = a.checked_add(*b).filter(|sum| sum.abs() <= WHOLE_MAX) {
                return Amount::Whole(sum);
            }
        }
        Self::normal(self.units() + other.units())
    }

    pub fn minus(&self, other: &Amount) -> Amount {
        match other {
            Amount::Whole(whole) => self.plus(&Amount::Whole(-whole)),
            Amount::Exact(exact) => self.plus(&Amount::Exact(Box::new(-exact.as_ref()))),
        }
    }

    /// Feeds the number into a hash, the same bytes for equal amounts.
    pub fn hash_into(&self, bytes: &mut Vec<u8>) {
        match self {
            Amount::Whole(whole) => bytes.extend(whole.to_le_bytes()),
            Amount::Exact(exact) => bytes.extend(exact.to_signed_bytes_le()),
        }
    }

    fn units(&self) -> BigInt {
        match self {
            Amount::Whole(whole) => BigInt::from(*whole) << UNIT_BITS,
            Amount::Exact(exact) => exact.as_ref().clone(),
        }
    }

    fn normal(units: BigInt) -> Self {
        let whole_bits = units.bits() <= UNIT_BITS + 62;
        if whole_bits && units.trailing_zeros().is_none_or(|zeros| zeros >= UNIT_BITS) {
            if let Ok(whole) = i64::try_from(&units >> UNIT_BITS) {
                return Amount::Whole(whole);
            }
        }
        Amount::Exact(Box::new(units))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Amount::Whole(whole) => (*whole, &[] as &[u8]).serialize(serializer),
            Amount::Exact(exact) => (0i64, &exact.to_signed_bytes_le()[..]).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (whole, exact) = <(i64, &[u8])>::deserialize(deserializer)?;
        if exact.len() > MAGNITUDE_BYTES_MAX || whole.unsigned_abs() > WHOLE_MAX as u64 {
            return Err(serde::de::Error::custom("number out of range"));
        }
        if exact.is_empty() {
            return Ok(Amount::Whole(whole));
        }
        Ok(Self::normal(BigInt::from_signed_bytes_le(exact)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |x| x.is_finite()),
            (-1000i32..1000).prop_map(f64::from),
            (-1000i32..1000).prop_map(|x| f64::from(x) / 10.0),
        ]
    }

    proptest! {
        #[test]
        fn one_double_reads_back(x in finite()) {
            prop_assert_eq!(Amount::from_f64(x).to_f64(), x);
        }

        #[test]
        fn two_doubles_round_as_the_machine_does(x in finite(), y in finite()) {
            let sum = Amount::from_f64(x).plus(&Amount::from_f64(y)).to_f64();
            prop_assert_eq!(sum, (x + y).clamp(f64::MIN, f64::MAX));
        }

        #[test]
        fn order_is_nothing(xs in proptest::collection::vec(finite(), 0..8)) {
            let add = |sum: Amount, x: &f64| sum.plus(&Amount::from_f64(*x));
            let there = xs.iter().fold(Amount::ZERO, add);
            let back = xs.iter().rev().fold(Amount::ZERO, add);
            prop_assert_eq!(&there, &back);
            let none = xs.iter().fold(there, |sum, x| sum.minus(&Amount::from_f64(*x)));
            prop_assert!(none.is_zero());
        }

        #[test]
        fn the_wire_keeps_it(x in finite(), y in finite()) {
            let sum = Amount::from_f64(x).plus(&Amount::from_f64(y));
            let bytes = postcard::to_stdvec(&sum).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Amount>(&bytes).unwrap(), sum);
        }
    }
}
