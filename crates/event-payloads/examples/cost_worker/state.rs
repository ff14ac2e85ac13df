//! The file with the books.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::books::Books;

/// What the file holds; none if there is no file.
pub(crate) fn load(path: &Path) -> Result<Option<Books>, String> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    let books = serde_json::from_slice(&text);
    books
        .map(Some)
        .map_err(|error| format!("{} holds no books: {error}", path.display()))
}

/// Replaces the file in one step, on stable storage when this returns: whoever looks, also after a power
/// cut, finds all of the old books or all of the new ones.
pub(crate) fn save(path: &Path, books: &Books) -> Result<(), String> {
    replace(path, books).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn replace(path: &Path, books: &Books) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec(books)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The folder has to know the new name too.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
