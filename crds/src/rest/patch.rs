//! A field that tells "not mentioned" from "null".

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field of a PATCH body; declare it with `#[serde(default, skip_serializing_if = "Patch::is_absent")]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Not in the body: leave it as it is.
    #[default]
    Absent,
    /// `null`: back to the default.
    Null,
    /// A value.
    Value(T),
}

impl<T> Patch<T> {
    /// Whether the field was not in the body.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The outer `None` leaves the field as it is, the inner one is `null`.
    pub fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent | Self::Null => serializer.serialize_none(),
            Self::Value(value) => serializer.serialize_some(value),
        }
    }
}
