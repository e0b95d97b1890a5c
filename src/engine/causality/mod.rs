//! Which writes a replica covers.

mod version_vector;

pub use version_vector::VersionVector;
