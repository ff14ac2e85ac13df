//! What a process has started, and what those have started: the whole family, to end all of it.
//!
//! A process group is not enough. Postgres puts each of its processes into a group of its own, and they live
//! on for a moment, or for as long as a query takes, when only the first of them is killed.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// One process of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    id: u32,
    parent: u32,
    /// Ended, and only waits to be reaped: it holds nothing any more.
    ended: bool,
}

/// The children of `parent` that have not ended.
pub(crate) fn children(parent: u32) -> io::Result<Vec<u32>> {
    let table = table()?;
    let children = table.iter().filter(|entry| entry.parent == parent);
    Ok(children
        .filter(|entry| !entry.ended)
        .map(|entry| entry.id)
        .collect())
}

/// The children of `ancestor`, their children, and so on; those included that only wait to be reaped.
pub(crate) fn descendants(ancestor: u32) -> io::Result<Vec<u32>> {
    Ok(below(ancestor, &table()?))
}

/// Which of `processes` have not ended.
pub(crate) fn alive(processes: &[u32]) -> io::Result<Vec<u32>> {
    let table = table()?;
    let alive = table.iter().filter(|entry| !entry.ended);
    Ok(alive
        .map(|entry| entry.id)
        .filter(|id| processes.contains(id))
        .collect())
}

fn below(ancestor: u32, table: &[Entry]) -> Vec<u32> {
    let mut open = vec![ancestor];
    let mut found = Vec::new();
    while let Some(parent) = open.pop() {
        for child in table.iter().filter(|entry| entry.parent == parent) {
            if !found.contains(&child.id) {
                found.push(child.id);
                open.push(child.id);
            }
        }
    }
    found
}

/// Every process. From `/proc` where there is one: `ps` is not in every container.
fn table() -> io::Result<Vec<Entry>> {
    if Path::new("/proc/self/stat").exists() {
        return from_proc();
    }
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,stat="])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(ps_line)
        .collect())
}

fn from_proc() -> io::Result<Vec<Entry>> {
    let mut table = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // What is gone by now is none of the processes.
        if let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) {
            table.extend(proc_stat(&stat));
        }
    }
    Ok(table)
}

/// `ID (NAME) STATE PARENT …`; the name may hold blanks and brackets itself.
fn proc_stat(stat: &str) -> Option<Entry> {
    let (id, rest) = stat.split_once(" (")?;
    let (_name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    Some(Entry {
        id: id.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        ended: matches!(state, "Z" | "X"),
    })
}

fn ps_line(line: &str) -> Option<Entry> {
    let mut fields = line.split_whitespace();
    Some(Entry {
        id: fields.next()?.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        ended: fields.next()?.starts_with('Z'),
    })
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_line_of_either_source_is_read() {
        let entry = |ended| Entry {
            id: 12,
            parent: 7,
            ended,
        };
        assert_eq!(proc_stat("12 (a) b) S 7 12 12 0"), Some(entry(false)));
        assert_eq!(proc_stat("12 (postgres) Z 7 12 12 0"), Some(entry(true)));
        assert_eq!(proc_stat("cpu  1 2 3"), None);
        assert_eq!(ps_line("   12     7 Ss+"), Some(entry(false)));
        assert_eq!(ps_line("12 7 Z"), Some(entry(true)));
        assert_eq!(ps_line("PID PPID"), None);
    }

    #[test]
    fn a_family_has_every_generation_and_nobody_else() {
        let table = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)].map(|(id, parent)| Entry {
            id,
            parent,
            ended: false,
        });
        assert_eq!(below(2, &table), [3, 4]);
        assert!(below(6, &table).is_empty());
    }

    #[test]
    fn a_child_is_seen_until_it_has_ended() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let id = child.id();
        assert!(children(std::process::id()).unwrap().contains(&id));
        assert_eq!(alive(&[id]).unwrap(), [id]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!descendants(std::process::id()).unwrap().contains(&id));
        assert!(alive(&[id]).unwrap().is_empty());
    }
}
