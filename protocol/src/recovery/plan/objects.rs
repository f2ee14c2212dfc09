//! What JSON a run is made of: objects that are objects, keys that do not repeat, words and positions.
//!
//! What is derived would take an array for an object, or an object for a word, and name the types of this library.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};

use super::{PlanFailure, PlanInput, PlanRole};

/// A type that is written as an object with certain keys.
trait Object<'de>: Sized {
    /// What is said of it where something else stands.
    const EXPECTED: &'static str;

    /// Reads the keys.
    fn keys<A: MapAccess<'de>>(access: A) -> Result<Self, A::Error>;
}

macro_rules! object {
    ($type:ty, $expected:literal) => {
        impl<'de> Object<'de> for $type {
            const EXPECTED: &'static str = $expected;

            fn keys<A: MapAccess<'de>>(access: A) -> Result<Self, A::Error> {
                // The inherent function that `remote = "Self"` derives.
                <$type>::deserialize(MapAccessDeserializer::new(access))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Keys(PhantomData))
            }
        }
    };
}

object!(PlanInput, "an object that describes a run");
object!(PlanRole, "an object with the `recovery` and `checkpoints` of a role");
object!(PlanFailure, "an object with the `role` and `kind` of a failure");

struct Keys<T>(PhantomData<T>);

impl<'de, T: Object<'de>> Visitor<'de> for Keys<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<T, A::Error> {
        T::keys(access)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<T, A::Error> {
        Err(array(&self))
    }
}

/// Reads an object with a key for each role; a key that stands there twice is an error, not overwritten in silence.
pub(super) fn by_role<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(ByRole(PhantomData))
}

struct ByRole<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ByRole<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with one entry for each role")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((name, value)) = access.next_entry::<String, T>()? {
            if entries.contains_key(&name) {
                return Err(A::Error::custom(format!("role `{name}` stands here twice")));
            }
            entries.insert(name, value);
        }
        Ok(entries)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(array(&self))
    }
}

fn array<'de, E: Error, V: Visitor<'de>>(expected: &V) -> E {
    E::invalid_type(Unexpected::Other("an array"), expected)
}

/// Reads a value that is one of several words.
pub(super) fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(String::deserialize(deserializer)?.into_deserializer())
}

/// Reads positions.
pub(super) fn positions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let positions = Vec::<Position>::deserialize(deserializer)?;
    Ok(positions.into_iter().map(|Position(position)| position).collect())
}

struct Position(u64);

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(PositionVisitor)
    }
}

struct PositionVisitor;

impl Visitor<'_> for PositionVisitor {
    type Value = Position;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a position, which is a number of events")
    }

    fn visit_u64<E: Error>(self, position: u64) -> Result<Position, E> {
        Ok(Position(position))
    }
}
