//! The first message of a connection: who is there, and whether it fits.

use super::membership::{self, Introduction};
use super::wire::message::{self, Hello, Kind, ProfileItem};
use super::{CloseReason, Engine, LinkId, Now, Output, Profile};

impl Engine {
    pub(super) fn receive_hello(
        &mut self,
        now: Now,
        link: LinkId,
        message: &[u8],
    ) -> Result<(), CloseReason> {
        let bad = |_| CloseReason::BadMessage("malformed hello".into());
        let (hello, more): (Hello<'_>, _) = message::decode_head(message).map_err(bad)?;
        if hello.magic != message::MAGIC {
            return Err(CloseReason::BadMessage("another protocol".into()));
        }
        let incompatible = |what: String| Err(CloseReason::Incompatible(what));
        if hello.major != message::VERSION_MAJOR {
            return incompatible(format!(
                "it speaks version {}.{} of the protocol, this node {}.{}",
                hello.major,
                hello.minor,
                message::VERSION_MAJOR,
                message::VERSION_MINOR
            ));
        }
        if hello.cluster != self.config.cluster {
            return incompatible(format!("its cluster is {:?}", hello.cluster));
        }
        let advertised = hello.advertised.and_then(membership::told_address);
        let ProfileItem { name, tags, observer } = message::decode_more(more).map_err(bad)?;
        // Who looks on without the state has no use for them.
        if hello.limits != self.limits() && self.config.follows && !observer {
            return incompatible(format!(
                "its limits (key bytes, depth, value bytes) are {:?}, here they are {:?}",
                hello.limits,
                self.limits()
            ));
        }
        if let Some(ms) = self.membership.kept_out_ms(now.monotonic_ms, hello.replica) {
            return Err(CloseReason::KeptOut { ms });
        }
        let limit = self.config.peers_max;
        let is_new = self.membership.link_of(hello.replica).is_none();
        if is_new && self.membership.peers().count() >= limit {
            return Err(CloseReason::Crowded { limit });
        }
        if let Some(frames) = self.replication.farewell(hello.replica) {
            self.outputs.push_back(Output::Send { link, frames });
            self.membership.refuse(link);
            return Ok(());
        }
        let tags = tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let profile = Profile { name: name.into(), tags };
        let (replica, node) = (hello.replica, hello.node);
        let who = Introduction { replica, node, profile, advertised, observer };
        self.membership.introduced(now.monotonic_ms, link, who, &mut self.rng);
        Ok(())
    }

    fn limits(&self) -> (u64, u64, u64) {
        let limits = &self.config.limits;
        (limits.key_bytes_max as u64, limits.depth_max as u64, limits.value_bytes_max as u64)
    }

    pub(super) fn say_hello(&mut self, link: LinkId) {
        let hello = Hello {
            magic: message::MAGIC,
            major: message::VERSION_MAJOR,
            minor: message::VERSION_MINOR,
            replica: self.replication.own(),
            node: self.node,
            cluster: &self.config.cluster,
            advertised: self.membership.advertised().map(|address| &*address.0),
            limits: self.limits(),
        };
        let Profile { name, tags } = &self.config.profile;
        let tags = tags.iter().map(|(key, value)| (&**key, &**value)).collect();
        let profile = ProfileItem { name, tags, observer: self.config.observer };
        let frames = message::encode(Kind::Hello, &(hello, profile));
        self.outputs.push_back(Output::Send { link, frames });
    }
}
