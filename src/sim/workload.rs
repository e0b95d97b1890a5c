//! What the applications write: paths that overlap, on few keys, with every kind of value.

use serde_json::{json, Value};

use super::chance::Chance;
use super::model::Kind;
use super::plan;

/// Segments of a deep path: what a value may have below is left.
const DEEP_MAX: u64 = 40;

pub struct Workload {
    chance: Chance,
    plan: plan::Workload,
    hot: Vec<Vec<String>>,
    purge_left: u64,
}

impl Workload {
    pub fn new(chance: Chance, plan: plan::Workload) -> Self {
        let mut workload = Workload { chance, plan, hot: Vec::new(), purge_left: 0 };
        workload.hot = (0..workload.plan.hot_paths).map(|_| workload.any_path()).collect();
        workload
    }

    pub fn next_write(&mut self) -> (Vec<String>, Kind) {
        let path = self.path();
        if self.purge_left > 0 {
            self.purge_left -= 1;
            return (path, Kind::Delete);
        }
        if self.chance.percent(self.plan.purge_percent) {
            self.purge_left = self.plan.purge_length;
        }
        let plan = &self.plan;
        let all = plan.set_weight + plan.increment_weight + plan.delete_weight;
        let drawn = self.chance.below(all);
        let kind = if drawn < plan.set_weight {
            let large = plan.large_percent > 0 && self.chance.percent(plan.large_percent);
            let value = if large { self.large_value() } else { self.value(0) };
            Kind::Set(value.to_string())
        } else if drawn < plan.set_weight + plan.increment_weight {
            Kind::Increment(self.number())
        } else {
            Kind::Delete
        };
        (path, kind)
    }

    /// A path to watch.
    pub fn some_path(&mut self) -> Vec<String> {
        self.path()
    }

    /// A hot path, its parent or a path below it; or any.
    fn path(&mut self) -> Vec<String> {
        if !self.chance.percent(self.plan.hot_percent) {
            return self.any_path();
        }
        let mut path = self.chance.pick(&self.hot).clone();
        match self.chance.below(6) {
            0 if path.len() > 1 => {
                path.pop();
            }
            1 if path.len() < self.plan.depth_max => path.push(self.name()),
            _ => {}
        }
        path
    }

    fn any_path(&mut self) -> Vec<String> {
        if self.plan.deep_percent > 0 && self.chance.percent(self.plan.deep_percent) {
            // Of one name mostly, so that many lie on one another's way.
            let name = self.plan.names[0];
            let depth = self.chance.between(5, DEEP_MAX) as usize;
            return vec![name.to_string(); depth];
        }
        (0..self.chance.between(1, self.plan.depth_max as u64)).map(|_| self.name()).collect()
    }

    fn name(&mut self) -> String {
        self.chance.pick(&self.plan.names).to_string()
    }

    /// Mostly multiples of a quarter: their sums are exact in any order.
    fn number(&mut self) -> f64 {
        let whole = self.chance.below(801) as f64 - 400.0;
        whole / if self.plan.decimals { 10.0 } else { 4.0 }
    }

    /// Long as one text, or as many.
    fn large_value(&mut self) -> Value {
        let bytes = self.chance.between(self.plan.large_bytes_max / 4, self.plan.large_bytes_max);
        match self.chance.below(3) {
            0 => json!("x".repeat(bytes as usize)),
            1 => (0..bytes / 100).map(|_| json!("y".repeat(95))).collect(),
            _ => {
                let members = (0..bytes / 100).map(|n| (n.to_string(), json!("z".repeat(90))));
                Value::Object(members.collect())
            }
        }
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.chance.below(if depth < 3 { 12 } else { 6 }) {
            0 => Value::Null,
            1 => json!(self.chance.percent(50)),
            2 => json!(""),
            3 => json!(format!("text \"{}\" \u{fc}\u{1f980}", self.chance.below(100))),
            4 => json!(self.number()),
            5 => json!(self.chance.below(200) as i64 - 100),
            6..=8 => {
                let length = self.chance.below(4);
                (0..length).map(|_| self.value(depth + 1)).collect()
            }
            _ => {
                let size = self.chance.below(4);
                (0..size).map(|_| (self.name(), self.value(depth + 1))).collect()
            }
        }
    }
}
