//! Copies of parts of the document, kept by what an engine tells its observers and nothing else.
//!
//! Whatever writes, feeds, folds and rejoins do: who has taken all there is to take has what is
//! shown.

use serde_json::{Map, Value};

use super::cluster::parsed;
use crate::engine::{Change, Engine, ObserverId};

/// Places taken at once, so that some are left for later.
const PLACES: usize = 3;
const BYTES: usize = 1 << 20;

pub struct Onlooker {
    path: Vec<String>,
    id: ObserverId,
    copy: Option<Value>,
}

impl Onlooker {
    pub fn new(engine: &mut Engine, path: &[String]) -> Self {
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let copy = path.is_empty().then(|| Value::Object(Map::new()));
        Onlooker { path: path.to_vec(), id: engine.observe(&segments), copy }
    }

    /// Takes some of what has changed. Says whether more waits.
    pub fn look(&mut self, engine: &mut Engine) -> Result<bool, String> {
        let changes = engine.take_changes(self.id, PLACES, BYTES);
        if changes.skipped {
            return Err("an observer was told to read everything, of a few places".into());
        }
        for change in changes.changes {
            self.apply(&change)
                .map_err(|what| format!("{:?} of {:?} {what}", change, self.path))?;
        }
        Ok(changes.more)
    }

    /// Takes all, after which the copy is right.
    pub fn check(&mut self, engine: &mut Engine) -> Result<(), String> {
        let segments: Vec<&str> = self.path.iter().map(String::as_str).collect();
        // Reading may finish merging, which changes what is to be told.
        let shown = parsed(&engine.read(&segments))?;
        loop {
            let before = self.copy.clone();
            let more = self.look(engine)?;
            if self.copy == shown && before == shown {
                return Ok(());
            }
            let mut told = Vec::new();
            engine.take_observers(&mut told);
            if before == self.copy && !more {
                let (path, copy) = (&self.path, &self.copy);
                return Err(format!("who observes {path:?} has {copy:?} and it is {shown:?}"));
            }
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), String> {
        let value = parsed(&change.json)?;
        let mut names = change.path.iter().map(|name| &**name);
        if !self.path.iter().all(|name| names.next() == Some(name)) {
            return Err("lies elsewhere".into());
        }
        let below: Vec<&str> = names.collect();
        let Some((name, above)) = below.split_last() else {
            self.copy = value;
            return Ok(());
        };
        let mut at = self.copy.as_mut();
        for name in above {
            at = at.and_then(|at| at.as_object_mut()?.get_mut(*name));
        }
        let Some(Value::Object(members)) = at else {
            return Err("lies below what is no object".into());
        };
        match value {
            Some(value) => members.insert((*name).to_owned(), value),
            None => members.remove(*name),
        };
        Ok(())
    }
}
