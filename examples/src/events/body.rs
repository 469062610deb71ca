//! What an event says beyond its id, type, time and organization: who, from where, in which request, on what, and the
//! details of its type. Tables hold plain ASCII that JSON takes unescaped.

use std::fmt::Write;

use barndoor_crds::event_type::EventType;

use super::random::Random;

const PEOPLE: [&str; 12] = [
    "amara.okafor",
    "ben.lindqvist",
    "chiara.rossi",
    "dmitri.volkov",
    "elena.garcia",
    "farid.rahimi",
    "grace.nakamura",
    "hugo.martin",
    "ines.almeida",
    "jonas.weber",
    "keiko.tanaka",
    "liam.murphy",
];
const AGENTS: [&str; 6] = [
    "support-triage",
    "contract-review",
    "sales-research",
    "code-assistant",
    "data-steward",
    "invoice-matching",
];
const ROLES: [&str; 5] = ["administrator", "security-analyst", "developer", "member", "read-only"];
const USER_AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36",
    "mcp-client-python/1.9.4 python-httpx/0.27.0 CPython/3.12.4 Linux/6.8.0",
    "mcp-client-typescript/1.13.0 node/22.3.0 linux-x64",
];
const SERVERS: [&str; 6] = ["github", "salesforce", "snowflake", "jira", "slack", "google-drive"];
const TOOLS: [&str; 10] = [
    "search_issues",
    "create_pull_request",
    "query_warehouse",
    "update_opportunity",
    "list_files",
    "read_document",
    "post_message",
    "create_ticket",
    "get_account",
    "export_report",
];
const POLICIES: [&str; 6] = [
    "allow-read-only-tools",
    "require-approval-for-writes",
    "deny-external-sharing",
    "limit-warehouse-rows",
    "mask-personal-data",
    "business-hours-only",
];
const TABLES: [&str; 6] = ["customers", "invoices", "contracts", "tickets", "payroll", "opportunities"];
const MODELS: [&str; 4] = ["large-2026-01", "medium-2026-01", "small-2025-10", "embedding-2025-07"];
const PATHS: [&str; 6] = [
    "/mcp/github",
    "/mcp/salesforce",
    "/mcp/snowflake",
    "/api/v1/tools",
    "/api/v1/sessions",
    "/api/v1/policies",
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const REGIONS: [&str; 3] = ["us-east-1", "eu-central-1", "ap-southeast-2"];
const COUNTRIES: [&str; 5] = ["US", "DE", "JP", "BR", "IE"];
const METHODS_OF_SIGN_IN: [&str; 4] = ["saml", "oidc", "passkey", "client_credentials"];

/// Writes a formatted piece; writing to a String cannot fail.
macro_rules! put {
    ($line:expr, $($arguments:tt)*) => {{
        let _ = write!($line, $($arguments)*);
    }};
}

/// Appends everything after the organization, beginning with a comma, without the closing brace.
pub(super) fn write(event_type: EventType, random: &mut Random, line: &mut String) {
    actor(event_type, random, line);
    source(random, line);
    request(random, line);
    details(event_type, random, line);
    put!(
        line,
        r#","outcome":"{}","region":"{}","instance":"gateway-{}","schema_version":"2026-01-15""#,
        random.pick(&["success", "success", "success", "success", "failure"]),
        random.pick(&REGIONS),
        random.below(12),
    );
}

fn actor(event_type: EventType, random: &mut Random, line: &mut String) {
    match event_type {
        EventType::System => line.push_str(
            r#","actor":{"type":"service","id":"svc_platform","name":"platform","roles":["service"]}"#,
        ),
        EventType::AiRequest | EventType::ToolCall | EventType::TokenExchange => {
            let agent = random.pick(&AGENTS);
            put!(
                line,
                r#","actor":{{"type":"agent","id":"agt_{agent}","name":"{agent}","on_behalf_of":"{}@example.com","roles":["{}"]}}"#,
                random.pick(&PEOPLE),
                random.pick(&ROLES),
            );
        }
        EventType::Authorization
        | EventType::PolicyDecision
        | EventType::Authentication
        | EventType::SessionCreated
        | EventType::SessionTerminated
        | EventType::SessionUpdated
        | EventType::DataAccess
        | EventType::Audit
        | EventType::RequestCompleted
        | EventType::RequestForwarded
        | EventType::RequestReceived
        | EventType::UserAction => {
            let person = random.pick(&PEOPLE);
            put!(
                line,
                r#","actor":{{"type":"user","id":"usr_{:06}","name":"{person}","email":"{person}@example.com","roles":["{}"]}}"#,
                random.below(2_000),
                random.pick(&ROLES),
            );
        }
    }
}

fn source(random: &mut Random, line: &mut String) {
    // TEST-NET-3 and -2 of RFC 5737: addresses that belong to nobody.
    put!(
        line,
        r#","source":{{"ip":"{}.{}","country":"{}","user_agent":"{}"}}"#,
        random.pick(&["203.0.113", "198.51.100"]),
        random.below(254) + 1,
        random.pick(&COUNTRIES),
        random.pick(&USER_AGENTS),
    );
}

fn request(random: &mut Random, line: &mut String) {
    put!(
        line,
        r#","request":{{"id":"req_{:016x}","trace_id":"{:016x}{:016x}","session_id":"ses_{:08x}","method":"{}","path":"{}","duration_ms":{}}}"#,
        random.next(),
        random.next(),
        random.next(),
        // A few hundred sessions at a time, each with many events.
        random.below(400).wrapping_mul(0x9e37_79b9) & 0xffff_ffff,
        random.pick(&METHODS),
        random.pick(&PATHS),
        random.below(900) + 3,
    );
}

fn resource(kind: &str, random: &mut Random, names: &[&str], line: &mut String) {
    let name = random.pick(names);
    put!(line, r#","resource":{{"type":"{kind}","id":"{kind}/{name}","name":"{name}"}}"#);
}

fn decision(random: &mut Random, line: &mut String) {
    put!(
        line,
        r#","decision":{{"effect":"{}","policy":"{}","policy_version":{},"reason":"the actor's role and the resource's owner match rule {} of the policy","evaluated_in_us":{}}}"#,
        random.pick(&["allow", "allow", "allow", "deny"]),
        random.pick(&POLICIES),
        random.below(40) + 1,
        random.below(12) + 1,
        random.below(1_800) + 90,
    );
}

fn details(event_type: EventType, random: &mut Random, line: &mut String) {
    match event_type {
        EventType::Authorization => {
            resource("mcp-server", random, &SERVERS, line);
            decision(random, line);
            put!(line, r#","action":"tool.invoke","permissions":["mcp:connect","tools:list","tools:call"]"#);
        }
        EventType::PolicyDecision => {
            resource("policy", random, &POLICIES, line);
            decision(random, line);
            put!(
                line,
                r#","action":"policy.evaluate","inputs":{{"tool":"{}","server":"{}","rows_requested":{}}}"#,
                random.pick(&TOOLS),
                random.pick(&SERVERS),
                random.below(10_000),
            );
        }
        EventType::Authentication => {
            resource("application", random, &SERVERS, line);
            put!(
                line,
                r#","action":"user.sign_in","authentication":{{"method":"{}","factors":["password","totp"],"identity_provider":"https://login.example.com/realms/main","assurance_level":"aal{}","risk":{{"score":{},"signals":["known_device","usual_country","usual_hours"]}},"attempt":{}}},"device":{{"managed":true,"platform":"macos","posture":"compliant"}}"#,
                random.pick(&METHODS_OF_SIGN_IN),
                random.below(3) + 1,
                random.below(100),
                random.below(3) + 1,
            );
        }
        EventType::SessionCreated => session("session.create", "signed-in", random, line),
        EventType::SessionTerminated => session("session.terminate", "idle-timeout", random, line),
        EventType::SessionUpdated => session("session.update", "scope-added", random, line),
        EventType::TokenExchange => {
            resource("mcp-server", random, &SERVERS, line);
            put!(
                line,
                r#","action":"token.exchange","token":{{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange","subject_token_type":"urn:ietf:params:oauth:token-type:access_token","audience":"https://{}.example.com","scopes":["tools:list","tools:call"],"expires_in":{},"fingerprint":"{:08x}"}}"#,
                random.pick(&SERVERS),
                (random.below(12) + 1) * 300,
                random.next() & 0xffff_ffff,
            );
        }
        EventType::AiRequest => {
            resource("model", random, &MODELS, line);
            decision(random, line);
            put!(
                line,
                r#","action":"model.invoke","usage":{{"input_tokens":{},"output_tokens":{},"cached_tokens":{},"latency_ms":{}}},"tools_offered":{}"#,
                random.below(24_000) + 200,
                random.below(4_000) + 20,
                random.below(12_000),
                random.below(9_000) + 200,
                random.below(40),
            );
        }
        EventType::DataAccess => {
            resource("table", random, &TABLES, line);
            decision(random, line);
            put!(
                line,
                r#","action":"data.read","data":{{"rows":{},"bytes":{},"columns":["id","name","email","amount","updated_at"],"masked":["email"],"classification":"confidential"}}"#,
                random.below(5_000),
                random.below(4_000_000),
            );
        }
        EventType::ToolCall => tool_call(random, line),
        EventType::Audit => {
            resource("policy", random, &POLICIES, line);
            put!(
                line,
                r#","action":"policy.update","changes":[{{"path":"/rules/{}/effect","from":"deny","to":"allow"}},{{"path":"/rules/{}/conditions/hours","from":"00-24","to":"08-18"}}],"approval":{{"required":true,"approved_by":"{}@example.com","ticket":"SEC-{}"}},"comment":"reviewed in the weekly access board and agreed with the owner of the data""#,
                random.below(12),
                random.below(12),
                random.pick(&PEOPLE),
                random.below(9_000) + 1_000,
            );
        }
        EventType::RequestReceived => http_request("request.receive", random, line),
        EventType::RequestForwarded => http_request("request.forward", random, line),
        EventType::RequestCompleted => http_request("request.complete", random, line),
        EventType::System => {
            resource("component", random, &["gateway", "policy-engine", "token-service", "scheduler"], line);
            put!(
                line,
                r#","action":"component.report","health":{{"status":"ok","uptime_seconds":{},"open_connections":{},"queue_depth":{},"memory_bytes":{},"checks":[{{"name":"database","status":"ok"}},{{"name":"identity-provider","status":"ok"}},{{"name":"policy-bundle","status":"ok"}}]}},"message":"periodic report of a component that works as it should""#,
                random.below(2_000_000),
                random.below(900),
                random.below(60),
                random.below(2_000_000_000),
            );
        }
        EventType::UserAction => {
            resource("report", random, &TABLES, line);
            put!(
                line,
                r#","action":"report.export","screen":{{"name":"Audit Log","route":"/settings/audit-log","component":"ExportButton"}},"parameters":{{"format":"csv","from":"2026-01-01","to":"2026-01-31","filters":[{{"field":"type","operator":"in","values":["TOOL_CALL","DATA_ACCESS"]}}],"rows":{}}},"feature_flags":["audit-export","agent-inventory"]"#,
                random.below(100_000),
            );
        }
    }
}

fn session(action: &str, why: &str, random: &mut Random, line: &mut String) {
    resource("application", random, &SERVERS, line);
    put!(
        line,
        r#","action":"{action}","session":{{"reason":"{why}","age_seconds":{},"idle_timeout_seconds":1800,"absolute_timeout_seconds":43200,"scopes":["openid","profile","tools:list","tools:call"],"client":"barndoor-console"}},"device":{{"managed":true,"platform":"windows","posture":"compliant","name":"LT-{:05}"}}"#,
        random.below(43_200),
        random.below(3_000),
    );
}

fn tool_call(random: &mut Random, line: &mut String) {
    resource("mcp-server", random, &SERVERS, line);
    decision(random, line);
    put!(
        line,
        r#","action":"tool.invoke","tool":{{"name":"{}","server":"{}","protocol":"2025-06-18","arguments":{{"query":"status = open and owner = {}","limit":{},"order_by":"updated_at"}},"result":{{"is_error":false,"items":{},"bytes":{}}}}}"#,
        random.pick(&TOOLS),
        random.pick(&SERVERS),
        random.pick(&PEOPLE),
        (random.below(20) + 1) * 5,
        random.below(100),
        random.below(200_000),
    );
}

fn http_request(action: &str, random: &mut Random, line: &mut String) {
    resource("route", random, &SERVERS, line);
    put!(
        line,
        r#","action":"{action}","http":{{"host":"gateway.example.com","scheme":"https","protocol":"HTTP/2","tls":"TLSv1.3","status":{},"request_bytes":{},"response_bytes":{},"headers":{{"accept":"application/json, text/event-stream","content-type":"application/json","mcp-protocol-version":"2025-06-18"}}}},"upstream":{{"server":"{}","attempts":{},"connect_ms":{}}}"#,
        random.pick(&[200, 200, 200, 202, 204, 400, 403, 404, 429, 502]),
        random.below(16_000),
        random.below(260_000),
        random.pick(&SERVERS),
        random.below(2) + 1,
        random.below(40),
    );
}
