//! IAM policy documents and their evaluation: an explicit deny, else an allow, else nothing. Pure.
//!
//! After the IAM user guide's grammar. A condition operator or key that is not known here is an error when the
//! document is stored, so that no test passes because of a condition nobody looked at.

use serde_json::Value;

/// A document that IAM would not take, or that is not understood here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedPolicy(String);

/// A parsed document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    effect: Effect,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// The key's value must match one of the patterns; a key that the request does not have never matches.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    key: String,
    patterns: Vec<String>,
    comparison: Comparison,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Like,
}

/// The condition keys that requests to the stub have.
const KNOWN_KEYS: [&str; 2] = ["kms:viaservice", "s3:prefix"];

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Question<'a> {
    /// Such as `s3:PutObject`.
    pub(super) action: &'a str,
    /// An ARN.
    pub(super) resource: &'a str,
    /// Condition keys, in lower case, with their values.
    pub(super) context: &'a [(&'a str, &'a str)],
}

impl Policy {
    /// Parses a document.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, MalformedPolicy> {
        let document: Value = serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
        Self::of(&document)
    }

    /// The same of a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(document: &Value) -> Result<Self, MalformedPolicy> {
        if document["Version"] != "2012-10-17" {
            return Err(malformed("Version must be 2012-10-17"));
        }
        let statements = match &document["Statement"] {
            Value::Array(statements) => statements.iter().collect(),
            statement @ Value::Object(_) => vec![statement],
            _ => return Err(malformed("Statement expected")),
        };
        let statements = statements.into_iter().map(Statement::of).collect::<Result<_, _>>()?;
        Ok(Self { statements })
    }

    /// A policy that allows everything.
    pub fn everything() -> Self {
        let all = || vec!["*".to_owned()];
        let statement =
            Statement { effect: Effect::Allow, actions: all(), resources: all(), conditions: Vec::new() };
        Self { statements: vec![statement] }
    }

    /// A policy that allows nothing.
    pub fn nothing() -> Self {
        Self { statements: Vec::new() }
    }

    pub(super) fn allows(&self, question: &Question<'_>) -> bool {
        let mut applying = self.statements.iter().filter(|statement| statement.applies(question)).peekable();
        applying.peek().is_some() && applying.all(|statement| statement.effect == Effect::Allow)
    }
}

impl Statement {
    fn of(value: &Value) -> Result<Self, MalformedPolicy> {
        let statement = value.as_object().ok_or_else(|| malformed("a Statement is an object"))?;
        for name in statement.keys() {
            if !["Sid", "Effect", "Action", "Resource", "Condition"].contains(&name.as_str()) {
                return Err(malformed(&format!("{name} is not understood")));
            }
        }
        let effect = match value["Effect"].as_str() {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(malformed("Effect must be Allow or Deny")),
        };
        let actions = texts(&value["Action"])?;
        if let Some(bad) = actions.iter().find(|action| *action != "*" && !action.contains(':')) {
            return Err(malformed(&format!("{bad} is no action")));
        }
        let resources = texts(&value["Resource"])?;
        if let Some(bad) = resources.iter().find(|resource| *resource != "*" && !resource.starts_with("arn:"))
        {
            return Err(malformed(&format!("{bad} is no resource")));
        }
        let conditions = value["Condition"].as_object().map(conditions).transpose()?.unwrap_or_default();
        Ok(Self { effect, actions, resources, conditions })
    }

    fn applies(&self, question: &Question<'_>) -> bool {
        let action = question.action.to_ascii_lowercase();
        self.actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
            && self.resources.iter().any(|pattern| matches(pattern, question.resource))
            && self.conditions.iter().all(|condition| condition.holds(question.context))
    }
}

impl Condition {
    fn holds(&self, context: &[(&str, &str)]) -> bool {
        let Some((_, value)) = context.iter().find(|(key, _)| *key == self.key) else {
            return false;
        };
        self.patterns.iter().any(|pattern| match self.comparison {
            Comparison::Equal => pattern == value,
            Comparison::Like => matches(pattern, value),
        })
    }
}

fn conditions(operators: &serde_json::Map<String, Value>) -> Result<Vec<Condition>, MalformedPolicy> {
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let comparison = match operator.as_str() {
            "StringEquals" => Comparison::Equal,
            "StringLike" => Comparison::Like,
            _ => return Err(malformed(&format!("the operator {operator} is not understood"))),
        };
        for (key, patterns) in keys.as_object().ok_or_else(|| malformed("a Condition is an object"))? {
            let key = key.to_ascii_lowercase();
            if !KNOWN_KEYS.contains(&key.as_str()) {
                return Err(malformed(&format!("the condition key {key} is not understood")));
            }
            conditions.push(Condition { key, patterns: texts(patterns)?, comparison });
        }
    }
    Ok(conditions)
}

fn texts(value: &Value) -> Result<Vec<String>, MalformedPolicy> {
    let text =
        |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| malformed("a string expected"));
    match value {
        Value::Array(values) if !values.is_empty() => values.iter().map(text).collect(),
        value => Ok(vec![text(value)?]),
    }
}

fn malformed(what: &str) -> MalformedPolicy {
    MalformedPolicy(what.to_owned())
}

/// IAM's wildcards: `*` for any run of characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.chars();
    match parts.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = parts.as_str();
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, &text[at..]))
        }
        Some(wanted) => {
            let mut text = text.chars();
            text.next().is_some_and(|found| wanted == '?' || wanted == found)
                && matches(parts.as_str(), text.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allows(policy: &Policy, action: &str, resource: &str) -> bool {
        policy.allows(&Question {
            action,
            resource,
            context: &[("kms:viaservice", "s3.us-east-1.amazonaws.com")],
        })
    }

    fn policy(statements: &Value) -> Policy {
        Policy::of(&json!({ "Version": "2012-10-17", "Statement": statements })).expect("a policy")
    }

    #[test]
    fn only_what_a_statement_allows_is_allowed() {
        let policy = policy(&json!([
            { "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": "arn:aws:s3:::b/p/*" },
            { "Effect": "Allow", "Action": "s3:list*", "Resource": "arn:aws:s3:::b" },
        ]));
        assert!(allows(&policy, "s3:PutObject", "arn:aws:s3:::b/p/x/y"));
        assert!(allows(&policy, "s3:ListBucket", "arn:aws:s3:::b"));
        for (action, resource) in [
            ("s3:PutObject", "arn:aws:s3:::b/q/x"),
            ("s3:GetObject", "arn:aws:s3:::b/p/x"),
            ("s3:ListBucket", "arn:aws:s3:::bb"),
        ] {
            assert!(!allows(&policy, action, resource), "{action} {resource}");
        }
    }

    #[test]
    fn a_deny_beats_every_allow() {
        let policy = policy(&json!([
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
            { "Effect": "Deny", "Action": "s3:Put*", "Resource": "*" },
        ]));
        assert!(
            allows(&policy, "s3:GetObject", "arn:aws:s3:::b/x")
                && !allows(&policy, "s3:PutObject", "arn:aws:s3:::b/x")
        );
        assert!(!allows(&Policy::nothing(), "s3:GetObject", "arn:aws:s3:::b/x"));
    }

    #[test]
    fn a_condition_must_hold_and_must_be_understood() {
        let with = |pattern: &str| {
            policy(&json!({
                "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                "Condition": { "StringLike": { "kms:ViaService": pattern } },
            }))
        };
        assert!(allows(&with("s3.*.amazonaws.com"), "kms:Decrypt", "arn:aws:kms:us-east-1:1:key/k"));
        assert!(!allows(&with("sqs.*.amazonaws.com"), "kms:Decrypt", "arn:aws:kms:us-east-1:1:key/k"));
        for condition in
            [json!({ "IpAddress": { "aws:SourceIp": "::1" } }), json!({ "StringEquals": { "x": "y" } })]
        {
            let document = json!({ "Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition } });
            assert!(Policy::of(&document).is_err(), "{condition}");
        }
    }

    #[test]
    fn what_iam_would_not_take_is_refused() {
        for bad in [
            "",
            "{}",
            r#"{"Version":"2012-10-17"}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}"#,
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn wildcards_match_runs_and_single_characters() {
        assert!(matches("a*c?e", "abbbcde") && matches("*", "") && matches("**x", "x"));
        assert!(!matches("a?", "a") && !matches("a", "ab"));
    }
}
