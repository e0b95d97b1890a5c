//! Ways through the engine that are seldom gone, and which of them were.
//!
//! A simulation that never goes one of them proves nothing about it, so the simulator counts them.
//! Noting one costs a few instructions.

/// Names the variants of [`Rare`] and what each is, in one place.
macro_rules! rare {
    ($($variant:ident, $name:literal, $what:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rare {
            $(#[doc = $what] $variant,)*
        }

        impl Rare {
            pub const ALL: &'static [Rare] = &[$(Rare::$variant),*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Rare::$variant => $name,)*
                }
            }

            pub fn what(self) -> &'static str {
                match self {
                    $(Rare::$variant => $what,)*
                }
            }
        }
    };
}

rare! {
    // Writes on their way.
    QueueOverflow, "queue-overflow", "writes were left out, as too much was under way to a peer";
    IncrementsJoined, "increments-joined", "an increment stood for those just before it";
    WriteWaits, "write-waits", "a write came before one that it depends on";
    WaitingOverflow, "waiting-overflow", "too many writes waited for others, and were dropped";
    DuplicateWrite, "duplicate-write", "a write came for the second time";
    Relayed, "relayed", "a write was passed on to a peer with no link to its origin";
    GapPulled, "gap-pulled", "a write waited so long that a peer was asked for what is missing";
    WriteRefusedFull, "write-refused-full", "a local write was refused, as the document was full";
    Overfull, "overfull", "peers' writes have made the document larger than it may be";
    StampBounded, "stamp-bounded", "a stamp lay so far ahead that the clock did not follow it";

    // Feeds.
    FeedFull, "feed-full", "a feed sent everything";
    KeptTold, "kept-told", "a feed told by fingerprints what is left of what was known";
    FeedRestarted, "feed-restarted", "a peer asked again before its feed had ended";
    FeedSwitched, "feed-switched", "another link was used before a feed had ended";
    FeedOutrun, "feed-outrun", "records that a feed had yet to send were dropped";
    LookBackOutrun, "look-back-outrun", "a feed would have to look back through too many changes";
    RemovalsOutrun, "removals-outrun", "records of removals that a feed needs were dropped before";
    RemovalDropped, "removal-dropped", "there were too many records of removals";
    RemovalsJoined, "removals-joined", "two records of one path became one";
    PullAbandoned, "pull-abandoned", "a feed was given up by the one who asked for it";
    MergeInSteps, "merge-in-steps", "merging what a feed brought took more than one step";
    MergeForced, "merge-forced", "a path was read or written while others waited to be merged";
    PiecesSwept, "pieces-swept", "the pieces of a value went with its shell";
    HashPutOff, "hash-put-off", "a digest went without a hash";

    // Values and counters.
    ValueSplit, "value-split", "a whole value was split, as something is to stand below it";
    ValueSplitWhileFed, "value-split-while-fed", "a whole value was split while a feed was under way";
    ValueSplitAtOnce, "value-split-at-once", "a whole value was put where others stand below";
    ValueResplit, "value-resplit", "a value kept whole here was split, as it was elsewhere";
    CutCarried, "cut-carried", "a write told which increments of others it removed";
    CutApplied, "cut-applied", "increments were taken from a counter that has later ones";
    CutLate, "cut-late", "a counter came after the record of what was removed from it";
    CutForgotten, "cut-forgotten", "nobody needs a record of removed increments any more";

    // The dead.
    DeadFolded, "dead-folded", "a dead replica was folded";
    DeadToCome, "dead-to-come", "writes of a dead replica waited for others that a peer has";
    FoldInSteps, "fold-in-steps", "folding took more than one step";
    FoldsAbsorbed, "folds-absorbed", "a fold took in earlier ones";
    FoldedTwice, "folded-twice", "two nodes had folded the same replica";
    StubAdopted, "stub-adopted", "a feed told of a fold that was not known";
    Rejoined, "rejoined", "a node that was folded began again";
    MadeAgain, "made-again", "it made again what nobody had seen";

    // Links.
    DuplicateClosed, "duplicate-closed", "of two links to one peer one was closed";
    LinkSwitched, "link-switched", "messages went over another link from then on";
    PeerSilent, "peer-silent", "a peer was lost, as nothing came from it";
    HandshakeTimeout, "handshake-timeout", "a hello did not come in time";
    AddressTaken, "address-taken", "another process has the address of one that is gone";
    AddressVacant, "address-vacant", "no process has the address of one that is gone";
    ConnectedToSelf, "connected-to-self", "an address turned out to be the own";
    AddressLearned, "address-learned", "an address that a peer told was dialled";
    AddressForgotten, "address-forgotten", "an address that led nowhere was forgotten";

    // Jobs.
    PieceInterleaved, "piece-interleaved", "something small went between two pieces";
    PieceDropped, "piece-dropped", "the rest of what goes in pieces was not sent";
    WindowFull, "window-full", "something waited, as the peer had not taken what came before";
    NoRoom, "no-room", "too much waited for a peer: it was not asked, or not answered";
    CallTakenBack, "call-taken-back", "a call ended before it had gone out";
    ParcelAgain, "parcel-again", "a parcel was sent again over another link";
    ParcelTwice, "parcel-twice", "a parcel came for the second time";
    OutcomeLate, "outcome-late", "an answer came when its job had ended";
    RunsFull, "runs-full", "a call was refused, as too much ran for its caller";
    JobsFull, "jobs-full", "a job was refused, as too many had not ended";
    RunExpired, "run-expired", "the time of a call was over before the application took it";
    LossLearned, "loss-learned", "a peer told that it had lost this node";
    PeerUnknownYet, "peer-unknown-yet", "a parcel waited until the application knew its peer";
}

/// Which were gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone(u64);

const _: () = assert!(Rare::ALL.len() <= 64);

impl Gone {
    pub fn note(&mut self, rare: Rare) {
        self.0 |= 1 << rare as u32;
    }

    pub fn note_if(&mut self, condition: bool, rare: Rare) {
        self.0 |= u64::from(condition) << rare as u32;
    }

    pub fn has(self, rare: Rare) -> bool {
        self.0 >> rare as u32 & 1 == 1
    }

    pub fn join(&mut self, other: Gone) {
        self.0 |= other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_bit_and_a_name_of_its_own() {
        let mut gone = Gone::default();
        for (index, &rare) in Rare::ALL.iter().enumerate() {
            assert!(!gone.has(rare));
            gone.note(rare);
            assert!(gone.has(rare));
            assert!(Rare::ALL[..index].iter().all(|other| other.name() != rare.name()));
        }
    }
}
