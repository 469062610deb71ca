//! The 16 audit event types in their 4 categories, and sets of them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The groups in which a person chooses event types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Authorization and policy decisions.
    Policy,
    /// Sign-ins, sessions and tokens.
    Identity,
    /// AI agents and what they touch.
    AiAgentAndData,
    /// Requests, administration and everything else.
    PlatformAndActivity,
}

impl Category {
    /// The four categories in the order they are shown.
    pub const ALL: [Self; 4] =
        [Self::Policy, Self::Identity, Self::AiAgentAndData, Self::PlatformAndActivity];

    /// The title a person sees.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Policy => "Policy",
            Self::Identity => "Identity",
            Self::AiAgentAndData => "AI Agent & Data",
            Self::PlatformAndActivity => "Platform & Activity",
        }
    }

    /// The category's types in the order they are shown.
    pub fn types(self) -> impl Iterator<Item = EventType> {
        EventType::ALL.into_iter().filter(move |event_type| event_type.category() == self)
    }
}

macro_rules! event_types {
    ($($variant:ident = $name:literal in $category:ident : $doc:literal,)*) => {
        /// What kind of thing an audit event records.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, ToSchema,
        )]
        #[repr(u8)]
        // Not a rename for each variant: utoipa does not see through a macro's literal.
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum EventType {
            $(#[doc = $doc] $variant,)*
        }

        impl EventType {
            /// All 16 types, grouped by category; the position is the discriminant stored in the event log.
            pub const ALL: [Self; 16] = [$(Self::$variant,)*];

            /// The name on the wire, such as `TOOL_CALL`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The category it is shown under.
            pub const fn category(self) -> Category {
                match self { $(Self::$variant => Category::$category,)* }
            }
        }
    };
}

event_types! {
    Authorization = "AUTHORIZATION" in Policy: "An access was allowed or denied.",
    PolicyDecision = "POLICY_DECISION" in Policy: "A policy was evaluated.",
    Authentication = "AUTHENTICATION" in Identity: "Somebody or something signed in or failed to.",
    SessionCreated = "SESSION_CREATED" in Identity: "A session began.",
    SessionTerminated = "SESSION_TERMINATED" in Identity: "A session ended.",
    SessionUpdated = "SESSION_UPDATED" in Identity: "A session changed.",
    TokenExchange = "TOKEN_EXCHANGE" in Identity: "A token was exchanged for another.",
    AiRequest = "AI_REQUEST" in AiAgentAndData: "An AI agent asked a model.",
    DataAccess = "DATA_ACCESS" in AiAgentAndData: "Data was read or written.",
    ToolCall = "TOOL_CALL" in AiAgentAndData: "An AI agent called a tool.",
    Audit = "AUDIT" in PlatformAndActivity: "The configuration was changed.",
    RequestCompleted = "REQUEST_COMPLETED" in PlatformAndActivity: "A request was answered.",
    RequestForwarded = "REQUEST_FORWARDED" in PlatformAndActivity: "A request was passed on.",
    RequestReceived = "REQUEST_RECEIVED" in PlatformAndActivity: "A request arrived.",
    System = "SYSTEM" in PlatformAndActivity: "The platform reported on itself.",
    UserAction = "USER_ACTION" in PlatformAndActivity: "A person did something.",
}

impl EventType {
    /// The type stored under this discriminant, if there is one.
    pub fn from_discriminant(discriminant: u8) -> Option<Self> {
        Self::ALL.get(usize::from(discriminant)).copied()
    }

    /// The type whose name is closest to what was written, for "did you mean".
    pub fn nearest(written: &str) -> Self {
        let written = written.trim().to_ascii_uppercase().replace(['-', ' '], "_");
        Self::ALL
            .into_iter()
            .min_by_key(|event_type| edit_distance(&written, event_type.name()))
            .unwrap_or(Self::Audit)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not one of the 16.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown event type \"{written}\"; did you mean {nearest}? The types are: {}", all_names())]
pub struct UnknownEventType {
    /// What was written, cut at 64 characters.
    pub written: String,
    /// The closest type.
    pub nearest: EventType,
}

fn all_names() -> String {
    EventType::ALL.map(EventType::name).join(", ")
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|event_type| event_type.name() == written).ok_or_else(|| {
            UnknownEventType { written: written.chars().take(64).collect(), nearest: Self::nearest(written) }
        })
    }
}

/// A set of event types; the filter of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTypeSet(u16);

impl EventTypeSet {
    /// Every type, later ones too.
    pub const ALL: Self = Self(u16::MAX);

    /// The set of these types.
    pub fn of(types: impl IntoIterator<Item = EventType>) -> Self {
        Self(types.into_iter().fold(0, |bits, event_type| bits | 1 << event_type as u16))
    }

    /// A destination's filter: absent or empty means every type.
    pub fn included(types: Option<&[EventType]>) -> Self {
        match types {
            None | Some([]) => Self::ALL,
            Some(types) => Self::of(types.iter().copied()),
        }
    }

    /// Whether the type is in the set.
    pub const fn contains(self, event_type: EventType) -> bool {
        self.0 & (1 << event_type as u16) != 0
    }
}

fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, l) in left.chars().take(64).enumerate() {
        let mut current = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let replaced = previous[column] + usize::from(l != *r);
            current.push(replaced.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_sixteen_types_in_four_categories() {
        let by_category: Vec<usize> = Category::ALL.iter().map(|category| category.types().count()).collect();
        assert_eq!(by_category, [2, 5, 3, 6]);
    }

    #[test]
    fn a_discriminant_stored_in_the_log_finds_its_type_again() {
        for event_type in EventType::ALL {
            assert_eq!(EventType::from_discriminant(event_type as u8), Some(event_type));
            assert_eq!(event_type.name().parse(), Ok(event_type));
        }
        assert_eq!(EventType::from_discriminant(16), None);
    }

    #[test]
    fn an_unknown_type_is_answered_with_the_nearest_and_the_whole_list() {
        let refusal = "authentification".parse::<EventType>().expect_err("not a type");
        assert_eq!(refusal.nearest, EventType::Authentication);
        let message = refusal.to_string();
        assert!(EventType::ALL.iter().all(|event_type| message.contains(event_type.name())), "{message}");
    }

    #[test]
    fn an_empty_filter_means_every_type() {
        assert_eq!(EventTypeSet::included(Some(&[])), EventTypeSet::ALL);
        let only_tools = EventTypeSet::included(Some(&[EventType::ToolCall]));
        assert!(only_tools.contains(EventType::ToolCall) && !only_tools.contains(EventType::Audit));
    }
}
