//! A list that seldom holds more than one thing, which then takes no allocation.

use std::ops::{Deref, DerefMut};

use thin_vec::{thin_vec, ThinVec};

#[derive(Clone, Debug, Default)]
pub enum Few<T> {
    #[default]
    None,
    One(T),
    Many(ThinVec<T>),
}

impl<T> Few<T> {
    pub fn push(&mut self, thing: T) {
        *self = match std::mem::take(self) {
            Few::None => Few::One(thing),
            Few::One(first) => Few::Many(thin_vec![first, thing]),
            Few::Many(mut things) => {
                things.push(thing);
                Few::Many(things)
            }
        };
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        *self = match std::mem::take(self) {
            Few::One(thing) if keep(&thing) => Few::One(thing),
            Few::None | Few::One(_) => Few::None,
            Few::Many(mut things) => {
                things.retain(keep);
                match things.len() {
                    0 | 1 => things.pop().map_or(Few::None, Few::One),
                    _ => Few::Many(things),
                }
            }
        };
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Few::None => &[],
            Few::One(thing) => std::slice::from_ref(thing),
            Few::Many(things) => things,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Few::None => &mut [],
            Few::One(thing) => std::slice::from_mut(thing),
            Few::Many(things) => things,
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, thin_vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Few::None => (None, ThinVec::new()),
            Few::One(thing) => (Some(thing), ThinVec::new()),
            Few::Many(things) => (None, things),
        };
        one.into_iter().chain(many)
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks_like_a_vector() {
        let mut few = Few::default();
        for count in 0..4 {
            assert_eq!(few.to_vec(), (0..count).collect::<Vec<_>>());
            few.push(count);
        }
        few.retain(|thing| thing % 2 == 1);
        assert_eq!(few.to_vec(), [1, 3]);
        few.retain(|&thing| thing == 3);
        assert!(matches!(few, Few::One(3)));
        few[0] = 5;
        assert_eq!(few.clone().into_iter().collect::<Vec<_>>(), [5]);
        few.retain(|_| false);
        assert!(few.is_empty());
    }
}
