//! A reader of JSON that shares nothing with the engine's: RFC 8259 by the letter, and strings as
//! JavaScript has them, of UTF-16 units that need not pair.

use std::collections::BTreeMap;

/// Deeper texts are refused, lest the reader run out of stack.
const DEPTH_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// As `JSON.parse` reads it: beyond a double it is infinite.
    Number(f64),
    String(Vec<u16>),
    Array(Vec<Value>),
    /// Of names that come twice the last one counts, as with `JSON.parse`.
    Object(BTreeMap<Vec<u16>, Value>),
}

/// What the value of a text does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Form {
    /// 0 for a scalar.
    pub depth: usize,
    /// A name has half of a surrogate pair.
    pub half_name: bool,
    /// An object has a name twice.
    pub twins: bool,
    /// White space before or after the value.
    pub padded: bool,
}

pub fn read(text: &str) -> Option<Value> {
    read_with_form(text).map(|(value, _)| value)
}

pub fn read_with_form(text: &str) -> Option<(Value, Form)> {
    let mut reader = Reader { rest: text.as_bytes(), depth: 0, form: Form::default() };
    reader.form.padded = reader.skip_space();
    let value = reader.value()?;
    reader.form.padded |= reader.skip_space();
    reader.rest.is_empty().then_some((value, reader.form))
}

struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
    form: Form,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        Some(match *self.rest.first()? {
            b'{' => self.object()?,
            b'[' => self.array()?,
            b'"' => Value::String(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            _ if self.take(b"null") => Value::Null,
            _ if self.take(b"true") => Value::Bool(true),
            _ if self.take(b"false") => Value::Bool(false),
            _ => return None,
        })
    }

    fn object(&mut self) -> Option<Value> {
        self.enter()?;
        let mut members = BTreeMap::new();
        let mut first = true;
        while !self.leaves(b"}") {
            if !std::mem::take(&mut first) && !self.take(b",") {
                return None;
            }
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            if !self.take(b":") {
                return None;
            }
            self.skip_space();
            self.form.half_name |= String::from_utf16(&name).is_err();
            let value = self.value()?;
            self.form.twins |= members.insert(name, value).is_some();
            self.skip_space();
        }
        Some(Value::Object(members))
    }

    fn array(&mut self) -> Option<Value> {
        self.enter()?;
        let mut elements = Vec::new();
        while !self.leaves(b"]") {
            if !elements.is_empty() && !self.take(b",") {
                return None;
            }
            self.skip_space();
            elements.push(self.value()?);
            self.skip_space();
        }
        Some(Value::Array(elements))
    }

    /// Goes behind the bracket of a container.
    fn enter(&mut self) -> Option<()> {
        self.rest = &self.rest[1..];
        self.depth += 1;
        self.form.depth = self.form.depth.max(self.depth);
        self.skip_space();
        (self.depth <= DEPTH_MAX).then_some(())
    }

    fn leaves(&mut self, bracket: &[u8]) -> bool {
        let leaves = self.take(bracket);
        self.depth -= usize::from(leaves);
        leaves
    }

    fn string(&mut self) -> Option<Vec<u16>> {
        if !self.take(b"\"") {
            return None;
        }
        let mut units = Vec::new();
        loop {
            let length =
                self.rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')?;
            let (plain, rest) = self.rest.split_at(length);
            units.extend(std::str::from_utf8(plain).ok()?.encode_utf16());
            self.rest = &rest[1..];
            match rest[0] {
                b'"' => return Some(units),
                b'\\' => units.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<u16> {
        let (&kind, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match kind {
            b'"' | b'\\' | b'/' => kind.into(),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let (digits, rest) = self.rest.split_at_checked(4)?;
                self.rest = rest;
                digits.iter().try_fold(0, |unit, &digit| {
                    Some(unit * 16 + char::from(digit).to_digit(16)? as u16)
                })?
            }
            _ => return None,
        })
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.rest;
        self.take(b"-");
        if !self.take(b"0") {
            self.digits()?;
        }
        if self.take(b".") {
            self.digits()?;
        }
        if self.take(b"e") || self.take(b"E") {
            let _ = self.take(b"+") || self.take(b"-");
            self.digits()?;
        }
        let text = &start[..start.len() - self.rest.len()];
        std::str::from_utf8(text).ok()?.parse().ok().map(Value::Number)
    }

    fn digits(&mut self) -> Option<()> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = &self.rest[length..];
        (length > 0).then_some(())
    }

    fn take(&mut self, token: &[u8]) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    /// Whether there was any.
    fn skip_space(&mut self) -> bool {
        let length = self.rest.iter().take_while(|byte| b" \t\n\r".contains(byte)).count();
        self.rest = &self.rest[length..];
        length > 0
    }
}
