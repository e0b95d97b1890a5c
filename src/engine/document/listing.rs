//! The members of what a path shows, a page at a time.

use super::json::{self, Level};
use super::path::array_index;
use super::read::{Face, Place, Winners};
use super::things::Body;
use super::tree::NodeId;
use super::Document;

/// Members of an object by the bytes of their names, elements of an array by their indexes; holes
/// are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Names, and the JSON text of what each shows.
    pub members: Vec<(String, String)>,
    /// Others follow.
    pub more: bool,
    bytes: usize,
}

impl Document {
    /// The members that come after `after`: at most `max`, and few if they are large. `None` if the
    /// path shows neither an object nor an array.
    pub fn page<S: AsRef<str>>(
        &mut self,
        path: &[S],
        after: Option<&str>,
        max: usize,
        bytes_max: usize,
    ) -> Option<Page> {
        let room = Room { members: max, bytes: bytes_max };
        match self.walk(path)? {
            Place::Inside(text) => page_of_text(&text, after, room),
            Place::Hole => None,
            Place::Node(id, mut winners) => match self.face(id, &winners) {
                Face::Text(index) => match &self.tree.node(id).values[index].body {
                    Body::Whole(text) => page_of_text(&text.clone(), after, room),
                    _ => None,
                },
                Face::Object => Some(self.page_of_object(id, &mut winners, after, room)),
                Face::Array { index_max, .. } => {
                    let elements = self.elements(id, index_max);
                    let after = after.map(index_of);
                    let rest = elements.into_iter().filter(|&(index, _)| is_after(index, after));
                    let mut page = Page::default();
                    for (index, child) in rest {
                        let mut text = String::new();
                        if self.write_below(child, &mut winners, &mut text)
                            && !page.put(index.to_string(), text, room)
                        {
                            break;
                        }
                    }
                    Some(page)
                }
                Face::Nothing | Face::Number(_) => None,
            },
        }
    }

    /// How many members a path shows; elements of an array, holes included.
    pub fn count<S: AsRef<str>>(&mut self, path: &[S]) -> Option<usize> {
        let place = self.walk(path)?;
        if let Place::Node(id, mut winners) = place {
            if let Face::Object = self.face(id, &winners) {
                let children: Vec<NodeId> = self.tree.children(id).collect();
                let mut count = 0;
                for child in children {
                    count += usize::from(self.shows_something(child, &mut winners));
                }
                return Some(count);
            }
        }
        let container = self.container(path)?;
        Some(if container.array { container.length as usize } else { container.keys.len() })
    }

    fn page_of_object(
        &mut self,
        id: NodeId,
        winners: &mut Winners,
        after: Option<&str>,
        room: Room,
    ) -> Page {
        let mut page = Page::default();
        let mut next = match after {
            Some(after) => self.tree.child_after(id, after),
            None => self.tree.children(id).next(),
        };
        while let Some(child) = next {
            let name = self.tree.node(child).name.clone();
            let mut text = String::new();
            if self.write_below(child, winners, &mut text)
                && !page.put(name.to_string(), text, room)
            {
                break;
            }
            next = self.tree.child_after(id, &name);
        }
        page
    }
}

/// What a page may hold. One member is always taken.
#[derive(Clone, Copy)]
struct Room {
    members: usize,
    bytes: usize,
}

impl Page {
    /// Whether it was taken.
    fn put(&mut self, name: String, text: String, room: Room) -> bool {
        let is_full = self.members.len() >= room.members || self.bytes >= room.bytes;
        if is_full && !self.members.is_empty() {
            self.more = true;
            return false;
        }
        self.bytes += name.len() + text.len();
        self.members.push((name, text));
        true
    }
}

fn page_of_text(text: &str, after: Option<&str>, room: Room) -> Option<Page> {
    let mut page = Page::default();
    match json::level(text) {
        Level::Scalar => return None,
        Level::Object(entries) => {
            let mut members: Vec<(&str, &str)> =
                entries.iter().map(|(name, value)| (&**name, *value)).collect();
            members.sort_unstable_by_key(|&(name, _)| name);
            let rest = members.into_iter().filter(|&(name, _)| after.is_none_or(|a| name > a));
            for (name, value) in rest {
                if !page.put(name.to_owned(), value.to_owned(), room) {
                    break;
                }
            }
        }
        Level::Array(elements) => {
            let after = after.map(index_of);
            let elements = (0u32..).zip(elements).filter(|&(index, _)| is_after(index, after));
            for (index, value) in elements {
                if !page.put(index.to_string(), value.to_owned(), room) {
                    break;
                }
            }
        }
    }
    Some(page)
}

/// What is no index comes after all of them.
fn index_of(name: &str) -> u32 {
    array_index(name).unwrap_or(u32::MAX)
}

fn is_after(index: u32, after: Option<u32>) -> bool {
    after.is_none_or(|after| index > after)
}
