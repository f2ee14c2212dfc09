//! A recovery table for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use crate::image::{Image, RoleId, StateId};
use crate::recovery::table::rows::{RecoveryTable, Row};

/// A table with names in place of numbers, as `-o json` prints it.
///
/// Two states of a role can have the same name; their rows are then one, which holds for both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedTable {
    /// Name of the protocol.
    pub protocol: String,
    /// By role in the order of declaration, then by state.
    pub rows: Vec<NamedRow>,
    /// Roles without rows, because they would be too many: their failure may concern everybody.
    pub too_large: Vec<String>,
}

/// What a `worker` failure of `role` in `state` can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedRow {
    /// The role that fails.
    pub role: String,
    /// The state it fails in.
    pub state: String,
    /// For each role that may go back, the states where it may resume, as a map in the order of declaration.
    #[serde(serialize_with = "as_map")]
    pub resumes: Vec<(String, Vec<String>)>,
    /// The others.
    pub untouched: Vec<String>,
}

/// A table with names in place of numbers.
pub fn named_table(table: &RecoveryTable, image: &Image) -> NamedTable {
    let mut named = NamedTable { protocol: image.name.clone(), rows: Vec::new(), too_large: Vec::new() };
    for (role, rows) in image.role_ids().zip(&table.rows) {
        if rows.is_empty() {
            named.too_large.push(image.role_name(role).to_owned());
        }
        named.rows.extend(named_rows(image, role, rows));
    }
    named
}

/// The table as text, one line for each role and state: `failure of A at 3   →   A:3, B:3, C:4        (D, E untouched)`
pub fn table_text(table: &RecoveryTable, image: &Image) -> String {
    let mut text = String::new();
    let named = named_table(table, image);
    for row in named.rows {
        let resumes: Vec<String> =
            row.resumes.iter().map(|(role, states)| format!("{role}:{}", states.join("/"))).collect();
        let _ = write!(text, "failure of {} at {}   →   {}", row.role, row.state, resumes.join(", "));
        if !row.untouched.is_empty() {
            let _ = write!(text, "        ({} untouched)", row.untouched.join(", "));
        }
        text.push('\n');
    }
    for role in named.too_large {
        let _ =
            writeln!(text, "failure of {role}   →   any role in any state        (the protocol is too large to tell)");
    }
    text
}

/// The rows of one role, those of states with the same name united, in the order of the states.
fn named_rows(image: &Image, role: RoleId, rows: &[Row]) -> Vec<NamedRow> {
    let mut names: Vec<&str> = Vec::new();
    let mut united: BTreeMap<&str, Vec<BTreeSet<StateId>>> = BTreeMap::new();
    for (state, row) in (0u32..).map(StateId).zip(rows) {
        let name = state_name(image, role, state);
        let resumes = united.entry(name).or_insert_with(|| {
            names.push(name);
            vec![BTreeSet::new(); image.roles.len()]
        });
        for (all, states) in resumes.iter_mut().zip(&row.roles) {
            all.extend(states);
        }
    }
    let unite = |name: &&str| named_row(image, role, name, &united[name]);
    names.iter().map(unite).collect()
}

fn named_row(image: &Image, role: RoleId, state: &str, resumes: &[BTreeSet<StateId>]) -> NamedRow {
    let mut row = NamedRow {
        role: image.role_name(role).to_owned(),
        state: state.to_owned(),
        resumes: Vec::new(),
        untouched: Vec::new(),
    };
    for (other, states) in image.role_ids().zip(resumes) {
        let name = image.role_name(other).to_owned();
        if states.is_empty() {
            row.untouched.push(name);
            continue;
        }
        let mut names: Vec<String> = Vec::new();
        for state in states.iter().map(|state| state_name(image, other, *state)) {
            if !names.iter().any(|known| known == state) {
                names.push(state.to_owned());
            }
        }
        row.resumes.push((name, names));
    }
    row
}

fn state_name(image: &Image, role: RoleId, state: StateId) -> &str {
    image.machine(role).and_then(|machine| machine.state(state)).map_or("?", |state| state.name.as_str())
}

fn as_map<S: Serializer>(entries: &[(String, Vec<String>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(role, states)| (role, states)))
}
