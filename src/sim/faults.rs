//! What can go wrong or be hard, by name: the table behind `--faults` and `--without`.
//!
//! Each seed draws which kinds are on at all, not only how often they strike: one that is always on
//! hides what happens without it.

use std::fmt;

/// Names the variants of [`Fault`], what each is and how often, in one place.
macro_rules! faults {
    ($($variant:ident, $name:literal, $when:ident, $percent:literal, $what:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $what] $variant,)*
        }

        impl Fault {
            pub const ALL: &'static [Fault] = &[$(Fault::$variant),*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$variant => $name,)*
                }
            }

            pub fn what(self) -> &'static str {
                match self {
                    $(Fault::$variant => $what,)*
                }
            }

            pub fn when(self) -> When {
                match self {
                    $(Fault::$variant => When::$when,)*
                }
            }

            /// In how many of a hundred seeds it is on.
            pub fn percent(self) -> u64 {
                match self {
                    $(Fault::$variant => $percent,)*
                }
            }
        }
    };
}

/// When a kind of fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Again and again, at times drawn by the plan, each time for a while.
    Strikes,
    /// The whole run long.
    Lasts,
}

faults! {
    // The network.
    LinkReset, "link-reset", Strikes, 40, "the connections between two nodes break";
    PartitionHalves, "partition-halves", Strikes, 40, "the nodes are parted in two";
    OneWay, "one-way", Strikes, 40, "what one node sends to another vanishes";
    PartitionOne, "partition-one", Strikes, 40, "all that one node sends and is sent vanishes";
    Delay, "delay", Strikes, 40, "the way between two nodes is slow and narrow";

    // Processes.
    Crash, "crash", Strikes, 40, "a process ends; its peers are told by its operating system";
    PowerLoss, "power-loss", Strikes, 40, "a machine is gone, and nobody is told";
    Leave, "leave", Strikes, 40, "a node says goodbye";
    Freeze, "freeze", Strikes, 40, "a process stands still for a while";
    ClockJump, "clock-jump", Strikes, 40, "a wall clock is set by up to an hour";

    // Those above are drawn by the first streams of a seed, those below by one of their own.
    PartitionRing, "partition-ring", Strikes, 15, "each node reaches a majority, each another one";
    HalfOpen, "half-open", Strikes, 15, "one end of a connection is gone, the other not told";
    SlowReader, "slow-reader", Strikes, 15, "a node takes in almost nothing of what it is sent";
    DuplicateLink, "duplicate-link", Strikes, 15, "a node dials a peer again by another name; perhaps the first link breaks";
    DoubleDial, "double-dial", Lasts, 12, "all dial one another, often, and have much to say at once";
    Reorder, "reorder", Lasts, 15, "each way takes another time, so what is sent later comes first";

    CrashDonor, "crash-donor", Strikes, 12, "a process ends while it brings another up to date";
    CrashAsker, "crash-asker", Strikes, 12, "a process ends while it is brought up to date";
    Comeback, "comeback", Strikes, 15, "a process ends and is back at once, at the same address";
    FreezeLong, "freeze-long", Strikes, 12, "a process stands still for longer than it is missed";
    Crowd, "crowd", Lasts, 6, "many nodes join at once";
    Outrun, "outrun", Lasts, 10, "a node is away for longer than any feed reaches back";
    Forgotten, "forgotten", Lasts, 3, "a node is away until the others have forgotten it";
    SplitDeath, "split-death", Lasts, 6, "a node leaves; two parts of the others fold it, each alone";
    SharedAddress, "shared-address", Lasts, 4, "two nodes advertise the same address";
    NewerMinor, "newer-minor", Lasts, 10, "some nodes speak a higher minor version of the protocol";

    ClockDrift, "clock-drift", Lasts, 10, "wall clocks run up to a fifth too fast or too slow";
    ClockStrobe, "clock-strobe", Strikes, 12, "a wall clock leaps to and fro";

    // What is written.
    LargeValues, "large-values", Lasts, 8, "some values are many times as large as a part of a feed";
    DeepPaths, "deep-paths", Lasts, 10, "paths of up to 40 segments";
    HotKey, "hot-key", Lasts, 10, "almost all writing goes to one path";
    MassDelete, "mass-delete", Strikes, 12, "a node deletes everything it shows";

    // Drawn by a stream of its own.
    Storm, "storm", Lasts, 5, "of up to eight nodes one is killed every second, and back soon";
}

impl Fault {
    /// Those that older seeds were drawn from.
    pub const FIRST: usize = 10;
    /// Those that have one stream together.
    pub const TOGETHER: usize = Fault::Storm as usize;

    pub fn of_name(name: &str) -> Option<Fault> {
        Fault::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    /// Whether processes end by it.
    pub fn ends_lives(self) -> bool {
        matches!(
            self,
            Fault::Crash
                | Fault::PowerLoss
                | Fault::Leave
                | Fault::CrashDonor
                | Fault::CrashAsker
                | Fault::Comeback
        )
    }

    /// Whether it goes with a storm: it parts nobody for long, and ends no lives.
    pub fn goes_with_storms(self) -> bool {
        let network = [Fault::LinkReset, Fault::Delay, Fault::HalfOpen, Fault::SlowReader];
        let others = [Fault::DuplicateLink, Fault::Reorder, Fault::Freeze, Fault::NewerMinor];
        let clocks = [Fault::ClockJump, Fault::ClockDrift, Fault::ClockStrobe];
        self.is_harmless() || [&network[..], &others, &clocks].concat().contains(&self)
    }

    /// Whether it is no more than something hard to do: nothing breaks.
    pub fn is_harmless(self) -> bool {
        matches!(self, Fault::LargeValues | Fault::DeepPaths | Fault::HotKey | Fault::MassDelete)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults(u64);

const _: () = assert!(Fault::ALL.len() <= 64);

impl Faults {
    pub fn has(self, fault: Fault) -> bool {
        self.0 >> fault as u32 & 1 == 1
    }

    pub fn add(&mut self, fault: Fault) {
        self.0 |= 1 << fault as u32;
    }

    pub fn remove(&mut self, fault: Fault) {
        self.0 &= !(1 << fault as u32);
    }

    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |&fault| self.has(fault))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<T: IntoIterator<Item = Fault>>(faults: T) -> Self {
        let mut set = Faults::default();
        faults.into_iter().for_each(|fault| set.add(fault));
        set
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        for &fault in Fault::ALL {
            assert_eq!(Fault::of_name(fault.name()), Some(fault));
        }
        assert_eq!(Fault::of_name("nothing"), None);
    }

    #[test]
    fn a_set_holds_what_was_added() {
        let mut set: Faults = [Fault::Crash, Fault::MassDelete].into_iter().collect();
        set.remove(Fault::Crash);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Fault::MassDelete]);
    }
}
