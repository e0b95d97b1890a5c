//! What must hold between nodes once the network is whole again.

use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

use super::cluster::Cluster;
use super::model::{alike, Kind};
use super::Trouble;
use crate::engine::{Context, Dot, ReplicaId};

/// Longest time from the last fault until everything has settled: all agree, all are linked that
/// can be, every job has ended.
pub const SETTLING_MS: u64 = 60_000;
/// How often agreement is looked for.
const LOOK_MS: u64 = 250;
/// Memory of a document with nothing in it.
const EMPTY_BYTES_MAX: usize = 6 << 10;
/// Of a cut.
const CUT_BYTES_MAX: usize = 128;
/// A few heartbeats, in which peers compare digests and raise the alarm if hashes differ.
const AFTERWARDS_MS: u64 = 3_500;

/// Waits until all live nodes cover the same writes.
pub fn settle(cluster: &mut Cluster, by_ms: u64) -> Result<(), Trouble> {
    loop {
        let contexts = contexts(cluster);
        if contexts.windows(2).all(|two| two[0].1 == two[1].1) {
            return Ok(());
        }
        if cluster.now >= by_ms {
            return Err(not_settled(cluster, &contexts));
        }
        cluster.run_until(cluster.now + LOOK_MS)?;
    }
}

/// Where nodes learn addresses and can reach each other, all are linked that can be.
pub fn check_links(cluster: &mut Cluster, by_ms: u64) -> Result<(), Trouble> {
    if !cluster.plan.config.learn_addresses || !cluster.plan.open {
        return Ok(());
    }
    while let Some((a, b)) = unlinked(cluster) {
        if cluster.now >= by_ms {
            let seconds = SETTLING_MS / 1000;
            return Err(format!("n{a} and n{b} have no link after {seconds} s").into());
        }
        cluster.run_until(cluster.now + LOOK_MS)?;
    }
    Ok(())
}

/// Two live nodes of which one advertises an address, and that do not see each other.
fn unlinked(cluster: &mut Cluster) -> Option<(usize, usize)> {
    let live = cluster.live();
    for &b in &live {
        for &a in live.iter().take_while(|&&a| a < b) {
            let ids = [a, b].map(|node| cluster.engine(node).id());
            let [of_a, of_b] = [a, b].map(|node| cluster.engine(node).peers());
            let linked = of_a.contains(&ids[1]) && of_b.contains(&ids[0]);
            let plan = &cluster.plan;
            let neither = !plan.is_reachable(a) && !plan.is_reachable(b);
            // Nobody dials what it takes for its own address.
            let same = plan.advertises[a] == plan.advertises[b];
            // Who looks on dials one node alone.
            let looks_on = plan.observer.is_some_and(|observer| observer == a || observer == b);
            if !linked && !neither && !same && !looks_on {
                return Some((a, b));
            }
        }
    }
    None
}

/// All nodes show what the model makes of the writes that survived.
pub fn check(cluster: &mut Cluster) -> Result<(), Trouble> {
    let live = cluster.live();
    let survivors = check_survivors(cluster)?;
    let contexts = contexts(cluster);
    let expected = cluster.model.value(&|dot| survivors.contains(&dot));
    let exact = cluster.sums_are_exact();
    for &node in &live {
        let shown = cluster.shown(node, &[])?.unwrap_or(Value::Null);
        same(&format!("n{node}"), &shown, "the model", &expected, exact)?;
        check_containers(cluster, node, &shown)?;
        let first = cluster.shown(live[0], &[])?;
        if first.as_ref() != Some(&shown) {
            // The model allows for last digits, nodes must not.
            let message = format!("n{} shows {first:?}, n{node} {shown}", live[0]);
            return Err(message.into());
        }
    }
    let hashes: Vec<_> = live.iter().map(|&node| cluster.engine(node).hash()).collect();
    for (index, &node) in live.iter().enumerate().skip(1) {
        if contexts[index].1 == contexts[0].1 && hashes[index] != hashes[0] {
            return Err(
                format!("n{} and n{node} show the same and hash it differently", live[0]).into()
            );
        }
    }
    check_bounds(cluster)?;
    cluster.run_until(cluster.now + AFTERWARDS_MS)?;
    match cluster.late().as_slice() {
        [] => Ok(()),
        late => Err(format!("nodes {late:?} never became ready").into()),
    }
}

/// Who has taken all that there was to take has what is shown.
pub fn check_onlookers(cluster: &mut Cluster) -> Result<(), Trouble> {
    cluster.live().into_iter().try_for_each(|node| cluster.check_onlookers(node))
}

/// Who looks on, and has written nothing, is no replica, and nobody's peer.
pub fn check_observer(cluster: &mut Cluster) -> Result<(), Trouble> {
    let Some(observer) = cluster.plan.observer.filter(|node| cluster.live().contains(node)) else {
        return Ok(());
    };
    let id = cluster.engine(observer).id();
    if cluster.engine(observer).stats().writes_local > 0 {
        return Err(format!("n{observer} looks on and has written").into());
    }
    for node in cluster.live() {
        let counter = cluster.engine(node).context().get(id);
        let stats = cluster.engine(node).stats();
        let has_it = cluster.engine(node).peers().contains(&id);
        if counter > 0 || stats.observers != usize::from(has_it) {
            return Err(format!("n{node} takes {id:?}, which looks on, for a replica").into());
        }
    }
    Ok(())
}

/// Who waits for one peer to have its writes waits no longer, if it has a peer. The last link that was
/// broken may take as long to be noticed as a loss does.
pub fn check_waits(cluster: &mut Cluster, by_ms: u64) -> Result<(), Trouble> {
    loop {
        let waiting: Vec<usize> = cluster.pledges.waiting().collect();
        let has_peer = |&node: &usize| cluster.engine(node).stats().peers > 0;
        let Some(node) = waiting.into_iter().find(has_peer) else { return Ok(()) };
        if cluster.now >= by_ms {
            return Err(format!("n{node} waits for one peer for ever").into());
        }
        cluster.run_until(cluster.now + LOOK_MS)?;
    }
}

/// After everything is deleted nothing is left.
pub fn check_emptied(cluster: &mut Cluster) -> Result<(), Trouble> {
    let live = cluster.live();
    let deleter = live[cluster.now as usize % live.len()];
    if let Some(Value::Object(members)) = cluster.shown(deleter, &[])? {
        for name in members.keys() {
            cluster.write(deleter, std::slice::from_ref(name), Kind::Delete)?;
        }
    }
    let end = cluster.now + SETTLING_MS;
    let ids: Vec<ReplicaId> = live.iter().map(|&node| cluster.engine(node).id()).collect();
    loop {
        cluster.run_until(cluster.now + LOOK_MS)?;
        let left = live.iter().find_map(|&node| {
            let stats = cluster.engine(node).stats();
            // A cut waits for the owner of the increments; one that is away may come back. If it is dead
            // the cut waits until it is folded, which waits for all that are away.
            let owners = cluster.engine(node).cut_owners();
            let owed = ids.iter().any(|id| owners.contains(id));
            let nothing = (stats.document_nodes, stats.things, stats.document_bytes) == (0, 0, 0);
            let bytes = cluster.engine(node).document_bytes();
            let empty = nothing && cluster.engine(node).hash() == 0 && !owed;
            (!empty || bytes > EMPTY_BYTES_MAX + stats.cuts * CUT_BYTES_MAX).then(|| {
                format!("n{node} keeps {bytes} bytes, {stats:?} after everything was deleted")
            })
        });
        match left {
            None => break,
            Some(message) if cluster.now >= end => {
                return Err(message.into());
            }
            Some(_) => {}
        }
    }
    settle(cluster, end)?;
    check(cluster)
}

/// Dead replicas are forgotten, and nothing else is.
pub fn check_forgotten(cluster: &mut Cluster) -> Result<(), Trouble> {
    let before = cluster.shown(cluster.live()[0], &[])?.unwrap_or(Value::Null);
    cluster.forgetting = true;
    cluster.run_until(cluster.now + 2 * cluster.plan.config.forget_after_ms)?;
    settle(cluster, cluster.now + SETTLING_MS)?;
    let exact = cluster.sums_are_exact();
    let ids: Vec<ReplicaId> = cluster.live().iter().map(|&n| cluster.engine(n).id()).collect();
    for node in cluster.live() {
        let owners = cluster.engine(node).cut_owners();
        if let Some(owner) = owners.iter().find(|owner| !ids.contains(owner)) {
            return Err(format!("n{node} keeps a cut of {owner:?}, which is dead").into());
        }
        let shown = cluster.shown(node, &[])?.unwrap_or(Value::Null);
        same(&format!("n{node}"), &shown, "all before the dead were forgotten", &before, exact)?;
    }
    check_bounds(cluster)
}

/// How long jobs may go on by themselves at the end, before those are ended that take their time.
const GRACE_MS: u64 = 1_000;
/// From the end of a job to that of its functions: a node that cannot be told of the end finds first
/// that it has lost the caller, and its application may be busy then.
const STOPPING_MS: u64 = 9_000;

/// Every node asks all, right after the last fault: some do not know yet that they lost others.
pub fn ask_all(cluster: &mut Cluster) -> Result<(), Trouble> {
    for node in cluster.live() {
        if cluster.jobs.is_on() {
            cluster.ask_all(node, false)?;
        }
    }
    Ok(())
}

/// Every job ends, and nothing of it stays.
pub fn check_jobs(cluster: &mut Cluster, by_ms: u64) -> Result<(), Trouble> {
    if !cluster.jobs.is_on() {
        return Ok(());
    }
    let live = cluster.live();
    for &node in &live {
        cluster.ask_all(node, false)?;
        cluster.ask_all(node, true)?;
    }
    let hurry_at = cluster.now + GRACE_MS;
    let mut hurried = false;
    loop {
        cluster.run_until(cluster.now + LOOK_MS)?;
        let restless = live.iter().find_map(|&node| {
            let life = cluster.nodes[node].life.as_ref()?;
            cluster.jobs.restless(node, &life.engine)
        });
        let Some(what) = restless else { break };
        cluster.jobs.ledger.check_stopped(cluster.now.saturating_sub(STOPPING_MS))?;
        if cluster.now >= hurry_at && !std::mem::replace(&mut hurried, true) {
            cluster.jobs.hurry(cluster.now);
        }
        if cluster.now >= by_ms {
            return Err(format!("never at rest: {what}").into());
        }
    }
    Ok(cluster.jobs.check_at_rest()?)
}

/// Fails with the first path at which the two differ; unless `exact`, by more than last digits.
pub fn same(
    left: &str,
    shown: &Value,
    right: &str,
    expected: &Value,
    exact: bool,
) -> Result<(), Trouble> {
    let difference = first_difference(Some(shown), Some(expected), exact);
    let Some((path, a, b)) = difference else { return Ok(()) };
    let text = |value: Option<Value>| value.map_or("nothing".into(), |value| value.to_string());
    let message = format!("at {path:?} {left} shows {}, {right} {}", text(a), text(b));
    Err(Trouble { message, path: Some(path) })
}

type Difference = (Vec<String>, Option<Value>, Option<Value>);

fn first_difference(a: Option<&Value>, b: Option<&Value>, exact: bool) -> Option<Difference> {
    if alike(a, b, exact) {
        return None;
    }
    let as_object = |value: Option<&Value>| match value {
        Some(Value::Object(members)) => Some(members.clone()),
        Some(Value::Array(elements)) => {
            let named = elements.iter().enumerate().map(|(i, e)| (i.to_string(), e.clone()));
            Some(named.collect::<Map<_, _>>())
        }
        _ => None,
    };
    let same_kind = a.is_some_and(Value::is_array) == b.is_some_and(Value::is_array);
    if let (Some(left), Some(right), true) = (as_object(a), as_object(b), same_kind) {
        for name in left.keys().chain(right.keys()) {
            if let Some((mut path, a, b)) = first_difference(left.get(name), right.get(name), exact)
            {
                path.insert(0, name.clone());
                return Some((path, a, b));
            }
        }
    }
    Some((Vec::new(), a.cloned(), b.cloned()))
}

/// All live nodes know the same writes; no write is lost but a crashed node's; and no write is
/// here without those it had seen. Gives those that are here.
fn check_survivors(cluster: &Cluster) -> Result<FxHashSet<Dot>, Trouble> {
    let live = cluster.live();
    let mut survivors = FxHashSet::default();
    let mut lost = Vec::new();
    for (index, op) in cluster.model.ops().iter().enumerate() {
        let trouble = |message| Err(Trouble { message, path: Some(op.path.clone()) });
        let knowers = cluster.knowers(op.dot);
        if knowers.is_empty() {
            if !cluster.ended.contains(&op.dot.replica) {
                return trouble(format!("write #{index} {:?} of a live node is lost", op.dot));
            }
            lost.push((index, op.dot));
            continue;
        }
        if knowers != live {
            return trouble(format!(
                "only {knowers:?} of {live:?} know write #{index} {:?}",
                op.dot
            ));
        }
        if let Some((missing, _)) = lost.iter().find(|&&(_, dot)| op.seen.covers(dot)) {
            return trouble(format!(
                "write #{index} is here without #{missing}, which it had seen"
            ));
        }
        survivors.insert(op.dot);
    }
    Ok(survivors)
}

/// `container` tells the same as `read`.
fn check_containers(cluster: &mut Cluster, node: usize, shown: &Value) -> Result<(), Trouble> {
    let mut rest = vec![(Vec::new(), shown)];
    while let Some((path, value)) = rest.pop() {
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let container = cluster.engine(node).container(&segments);
        let children: Option<Vec<(String, &Value)>> = match value {
            Value::Object(members) => Some(members.iter().map(|(k, v)| (k.clone(), v)).collect()),
            Value::Array(elements) => {
                Some(elements.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect())
            }
            _ => None,
        };
        let agrees = match (&container, &children) {
            (None, None) => true,
            (Some(container), Some(children)) => {
                let length = if value.is_array() { children.len() } else { 0 };
                let mut keys = container.keys.clone();
                keys.sort();
                // A null element is a hole, with no key, or a null that was SET.
                let named = |name: &String| keys.binary_search(name).is_ok();
                container.array == value.is_array()
                    && container.length as usize == length
                    && keys.iter().all(|key| children.iter().any(|(name, _)| name == key))
                    && children
                        .iter()
                        .all(|(name, v)| named(name) || (container.array && v.is_null()))
            }
            _ => false,
        };
        if !agrees {
            let message = format!("n{node} reads {value} at {path:?}, but has {container:?}");
            return Err(Trouble { message, path: Some(path) });
        }
        for (name, child) in children.into_iter().flatten() {
            rest.push(([path.as_slice(), &[name]].concat(), child));
        }
    }
    Ok(())
}

fn check_bounds(cluster: &mut Cluster) -> Result<(), Trouble> {
    let incarnations = cluster.incarnations;
    for node in cluster.live() {
        let replicas = cluster.engine(node).stats().replicas;
        if replicas > incarnations {
            return Err(format!("n{node} keeps {replicas} replicas of {incarnations}").into());
        }
    }
    Ok(())
}

fn contexts(cluster: &mut Cluster) -> Vec<(usize, Context)> {
    cluster.live().into_iter().map(|node| (node, cluster.engine(node).context().clone())).collect()
}

fn not_settled(cluster: &mut Cluster, contexts: &[(usize, Context)]) -> Trouble {
    let peers: Vec<String> = contexts
        .iter()
        .map(|(node, context)| {
            let peers = cluster.engine(*node).peers();
            format!("n{node} {:?} with {context:?}, peers {peers:?}", cluster.engine(*node).id())
        })
        .collect();
    format!("no agreement after {} s: {}", SETTLING_MS / 1000, peers.join("; ")).into()
}
