//! Function libraries of the two sides: compared, and loaded on the filled side where the replication does not carry
//! them.

use std::collections::BTreeMap;

use super::Direction;
use super::connection::{Connection, Connections};
use crate::upstream::control::{Error, Value};

/// Libraries by name, with their code.
pub type Libraries = BTreeMap<String, Vec<u8>>;

/// The request that asks for them; [`of_reply`] reads the answer.
pub fn request() -> Vec<Vec<u8>> {
    ["FUNCTION", "LIST", "WITHCODE"]
        .map(|word| word.as_bytes().to_vec())
        .to_vec()
}

/// The libraries of a side; none where the server has no functions, or does not tell.
pub fn of_reply(reply: Result<Value, String>) -> Option<Libraries> {
    match reply.ok()? {
        Value::Array(libraries) => Some(libraries.iter().filter_map(library).collect()),
        Value::Bulk(_) | Value::Simple(_) | Value::Integer(_) | Value::Null => None,
    }
}

/// Names of what `copied` has and `filled` does not, or has otherwise.
pub(super) fn missing<'a>(copied: &'a Libraries, filled: &Libraries) -> Vec<&'a str> {
    copied
        .iter()
        .filter(|(name, code)| filled.get(*name) != Some(code))
        .map(|(name, _)| name.as_str())
        .collect()
}

/// Loads on the filled side what it does not have as the copied side has it.
pub(super) async fn carry(
    connections: &mut Connections,
    direction: Direction,
) -> Result<(), Error> {
    let (copied, filled) = connections.pair(direction.from);
    let Some(wanted) = libraries(copied).await? else {
        return Ok(()); // no functions there: nothing to carry
    };
    if wanted.is_empty() {
        return Ok(());
    }
    let there = libraries(filled).await?.unwrap_or_default();
    let loads: Vec<Vec<Vec<u8>>> = missing(&wanted, &there)
        .into_iter()
        .map(|name| {
            let mut load = ["FUNCTION", "LOAD", "REPLACE"]
                .map(|word| word.as_bytes().to_vec())
                .to_vec();
            load.push(wanted[name].clone());
            load
        })
        .collect();
    if loads.is_empty() {
        return Ok(());
    }
    for reply in filled.pipeline_bytes(&loads).await? {
        reply.map_err(|text| filled.refused("FUNCTION LOAD", text))?;
    }
    Ok(())
}

async fn libraries(connection: &mut Connection) -> Result<Option<Libraries>, Error> {
    let reply = connection.pipeline_bytes(&[request()]).await?.pop();
    Ok(reply.and_then(of_reply))
}

/// `library_name, NAME, engine, …, library_code, CODE`.
fn library(entry: &Value) -> Option<(String, Vec<u8>)> {
    let Value::Array(fields) = entry else {
        return None;
    };
    let field = |wanted: &[u8]| {
        let pair = fields
            .chunks_exact(2)
            .find(|pair| matches!(&pair[0], Value::Bulk(name) if name[..] == *wanted))?;
        match &pair[1] {
            Value::Bulk(value) => Some(value.clone()),
            Value::Simple(_) | Value::Integer(_) | Value::Array(_) | Value::Null => None,
        }
    };
    let name = String::from_utf8_lossy(&field(b"library_name")?).into_owned();
    Some((name, field(b"library_code")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libraries(entries: &[(&str, &str)]) -> Libraries {
        entries
            .iter()
            .map(|(name, code)| ((*name).to_owned(), code.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn a_library_is_missing_where_its_code_differs() {
        let copied = libraries(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let filled = libraries(&[("a", "1"), ("b", "other"), ("d", "4")]);
        assert_eq!(missing(&copied, &filled), ["b", "c"]);
    }
}
