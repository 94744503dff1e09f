//! A miner on disk.
//!
//! ```text
//! "LHTMPL" version:u16 body_length:u64 body crc32(body):u32
//! body     next_id lines joined evicted_templates evicted_lines : u64 each
//!          count:u32 template…   those of a leaf in its order
//!          count:u32 (shape:u64 index:u32)…      index into the templates
//!          count:u32 (alias:u64 older:u64)…
//! template id:u64 has_site:u8 site:u64 shape:u64 count:u64 first_line:u64 last_line:u64 first_seen:i64
//!          pieces:u16 (part:u8 glued:u8 length:u16 hash:u32)…  text_length:u32 text  examples_length:u16 examples
//! ```
//!
//! Numbers are little-endian. The shapes are in it so that a line known before a restart finds its template by the same
//! look-up after it; hashes are those of [`super::hash`], which is part of the format.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::one::{Part, Piece, Template};
use super::{Limits, Miner, Slot, Stats, TemplateId};

const MAGIC: &[u8; 6] = b"LHTMPL";
const VERSION: u16 = 1;

/// Nothing has been counted so far: at a billion a second it takes a century.
const COUNT_MAX: u64 = 1 << 62;

/// Why a saved registry could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read the template registry: {0}")]
    Io(#[from] io::Error),
    #[error("this is no template registry: it does not begin with LHTMPL")]
    NotARegistry,
    #[error(
        "the template registry has version {0}, this program reads version {VERSION}: use the program that wrote it"
    )]
    Version(u16),
    #[error(
        "the template registry is damaged at byte {offset} of its body: restore it from a backup, or remove it to begin \
         with no templates"
    )]
    Damaged { offset: usize },
}

impl Miner {
    /// Writes everything the miner remembers. Nothing is buffered by the caller's leave: one write of the whole.
    pub fn save(&self, mut output: impl Write) -> io::Result<()> {
        let mut body = Vec::new();
        write_stats(&mut body, self);
        let slots = self.saved_order();
        body.extend((slots.len() as u32).to_le_bytes());
        let mut index = BTreeMap::new();
        for (at, slot) in slots.iter().enumerate() {
            if let Some(template) = self.template_at(*slot) {
                index.insert(*slot, at as u32);
                write_template(&mut body, template);
            }
        }
        let live = |slot: u32| index.get(&self.follow(slot)).copied();
        let shapes: BTreeMap<u64, u32> =
            self.shapes.iter().filter_map(|(shape, slot)| Some((*shape, live(*slot)?))).collect();
        body.extend((shapes.len() as u32).to_le_bytes());
        for (shape, at) in shapes {
            body.extend(shape.to_le_bytes());
            body.extend(at.to_le_bytes());
        }
        let aliases: BTreeMap<u64, u64> = self.aliases.iter().map(|(alias, older)| (*alias, *older)).collect();
        body.extend((aliases.len() as u32).to_le_bytes());
        for (alias, older) in aliases {
            body.extend(alias.to_le_bytes());
            body.extend(older.to_le_bytes());
        }
        output.write_all(MAGIC)?;
        output.write_all(&VERSION.to_le_bytes())?;
        output.write_all(&(body.len() as u64).to_le_bytes())?;
        output.write_all(&body)?;
        output.write_all(&crc32fast::hash(&body).to_le_bytes())
    }

    /// Reads what [`Miner::save`] wrote, and goes on exactly where it was. With a smaller limit than it was saved under,
    /// the least useful templates are forgotten at once.
    pub fn load(mut input: impl Read, limits: Limits) -> Result<Self, LoadError> {
        let mut head = [0; 16];
        input.read_exact(&mut head).map_err(|err| match err.kind() {
            io::ErrorKind::UnexpectedEof => LoadError::NotARegistry,
            _ => err.into(),
        })?;
        let mut head = Body { bytes: &head, at: 0 };
        if head.take(MAGIC.len()).ok() != Some(&MAGIC[..]) {
            return Err(LoadError::NotARegistry);
        }
        let version = head.u16()?;
        if version != VERSION {
            return Err(LoadError::Version(version));
        }
        let length = head.u64()?;
        let mut body = Vec::new();
        input.by_ref().take(length).read_to_end(&mut body)?;
        let mut sum = [0; 4];
        let cut = (body.len() as u64) < length || input.read_exact(&mut sum).is_err();
        if cut || crc32fast::hash(&body).to_le_bytes() != sum {
            return Err(LoadError::Damaged { offset: body.len() });
        }
        read_body(&mut Body { bytes: &body, at: 0 }, limits)
    }

    /// All live slots, so that adding them in this order rebuilds each leaf in its own.
    fn saved_order(&self) -> Vec<u32> {
        let leaves: BTreeMap<&u64, &Vec<u32>> = self.leaves.iter().collect();
        let sites: BTreeMap<&u64, &u32> = self.sites.iter().collect();
        leaves.into_values().flatten().chain(sites.into_values()).copied().collect()
    }
}

pub(super) fn write_stats(body: &mut Vec<u8>, miner: &Miner) {
    let stats = &miner.stats;
    for number in [miner.next_id, stats.lines, stats.joined, stats.evicted_templates, stats.evicted_lines] {
        body.extend(number.to_le_bytes());
    }
}

/// Ids never go back: a lower `next_id` than there was is damage.
pub(super) fn read_stats(body: &mut Body<'_>, miner: &mut Miner) -> Result<(), LoadError> {
    let next_id = body.count()?;
    if next_id < miner.next_id {
        return Err(body.damaged());
    }
    miner.next_id = next_id;
    miner.stats = Stats {
        lines: body.count()?,
        joined: body.count()?,
        evicted_templates: body.count()?,
        evicted_lines: body.count()?,
    };
    Ok(())
}

pub(super) fn write_template(body: &mut Vec<u8>, template: &Template) {
    body.extend(template.id.0.to_le_bytes());
    body.push(u8::from(template.site.is_some()));
    let numbers = [template.shape, template.count, template.first_line, template.last_line];
    for number in [template.site.unwrap_or(0)].into_iter().chain(numbers) {
        body.extend(number.to_le_bytes());
    }
    body.extend(template.first_seen.to_le_bytes());
    // At most `TOKENS_MAX` pieces and `LINE_BYTES_MAX` of text, a few hundred bytes of examples.
    body.extend((template.pieces.len() as u16).to_le_bytes());
    for piece in &template.pieces {
        body.extend([piece.part as u8, u8::from(piece.glued)]);
        body.extend(piece.length.to_le_bytes());
        body.extend(piece.hash.to_le_bytes());
    }
    body.extend((template.text.len() as u32).to_le_bytes());
    body.extend(template.text.as_bytes());
    let examples = template.raw_examples();
    body.extend((examples.len() as u16).to_le_bytes());
    body.extend(examples);
}

/// Bytes still to be read. Every read is checked: a checksum finds accidents, not what somebody wrote on purpose.
pub(super) struct Body<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Body<'a> {
    pub fn damaged(&self) -> LoadError {
        LoadError::Damaged { offset: self.at }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], LoadError> {
        let found = self.bytes[self.at..].get(..length).ok_or(self.damaged())?;
        self.at += length;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, LoadError> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, LoadError> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, LoadError> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, LoadError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number that goes on being counted up.
    fn count(&mut self) -> Result<u64, LoadError> {
        self.u64().and_then(|count| if count < COUNT_MAX { Ok(count) } else { Err(self.damaged()) })
    }
}

fn read_body(body: &mut Body<'_>, limits: Limits) -> Result<Miner, LoadError> {
    let mut miner = Miner::new(limits);
    read_stats(body, &mut miner)?;
    // Lines may be counted on once, whatever the templates say.
    let mut left = miner.stats.lines.checked_sub(miner.stats.evicted_lines).ok_or(body.damaged())?;
    for _ in 0..body.u32()? {
        let template = read_template(body)?;
        // An id twice, or one that is still to be given, would break the promise of ids.
        if template.id.0 >= miner.next_id || miner.ids.contains_key(&template.id.0) {
            return Err(body.damaged());
        }
        left = left.checked_sub(template.count).ok_or(body.damaged())?;
        if template.first_line > template.last_line || template.last_line > miner.stats.lines {
            return Err(body.damaged());
        }
        miner.add(template);
    }
    for _ in 0..body.u32()? {
        let (shape, slot) = (body.u64()?, body.u32()?);
        if !matches!(miner.slots.get(slot as usize), Some(Slot::Live(_))) {
            return Err(body.damaged());
        }
        miner.shapes.insert(shape, slot);
    }
    for _ in 0..body.u32()? {
        let (alias, older) = (body.u64()?, body.u64()?);
        // Older, or resolving could go in circles; and nobody's own id.
        if older >= alias || alias >= miner.next_id || miner.ids.contains_key(&alias) {
            return Err(body.damaged());
        }
        miner.aliases.insert(alias, older);
    }
    if body.at != body.bytes.len() {
        return Err(body.damaged());
    }
    miner.keep_within_limit();
    Ok(miner)
}

pub(super) fn read_template(body: &mut Body<'_>) -> Result<Template, LoadError> {
    let id = TemplateId(body.u64()?);
    let has_site = body.u8()? != 0;
    let site = body.u64()?;
    let mut template = Template::new(id, has_site.then_some(site), body.u64()?, "", &[], 0);
    template.count = body.count()?;
    template.first_line = body.u64()?;
    template.last_line = body.u64()?;
    template.first_seen = body.u64()? as i64;
    let mut at = 0;
    let mut ends = Vec::new();
    for _ in 0..body.u16()? {
        let part = match body.u8()? {
            0 => Part::Word,
            1 => Part::Punct,
            2 => Part::Value,
            3 => Part::Any,
            _ => return Err(body.damaged()),
        };
        let glued = body.u8()? != 0;
        let length = body.u16()?;
        template.pieces.push(Piece { hash: body.u32()?, length, part, glued });
        at += usize::from(length);
        ends.push(at);
    }
    template.pieces.shrink_to_fit();
    let length = body.u32()? as usize;
    let text = std::str::from_utf8(body.take(length)?).map_err(|_| body.damaged())?;
    if at != text.len() || ends.iter().any(|end| !text.is_char_boundary(*end)) {
        return Err(body.damaged());
    }
    template.text = text.to_owned();
    let length = usize::from(body.u16()?);
    template.set_raw_examples(body.take(length)?.to_vec());
    Ok(template)
}
