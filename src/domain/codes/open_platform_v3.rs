//! Result codes only protocol v3 is known to have, one row each; its other codes are the sub-codes of version 1.0.
//!
//! Data only. The vendor lists these names and says of none what it means, so every class is inferred from the name, and
//! none is trusted with an end: what sounds like the account's fault is doubtful until two items agree, and what sounds
//! like the item's is tried a few times and then kept as `unknown_code`. A wrong guess over a night's backlog then costs
//! time, and no item.

use crate::domain::codes::{Certainty, Class, Row, Scope};

/// The table. `202` is the HTTP status (docs open-v3/054fcv): its answer has no body, and so no code.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row { code: "202", sub_code: None, class: Class::Ambiguous, meaning: "accepted, not processed: repeat with the same parameters", source: "docs open-v3/054fcv, 054oog" },
    Row { code: "illegal-client-ip", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "illegal client ip", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "app-auth-invoke-limit", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "app auth invoke limit", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "app-api-punished", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "app api punished", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "missing-platform", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "missing platform", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-platform", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid platform", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "missing-app-access-token", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "missing app access token", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "missing-default-signature-type", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "missing default signature type", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-signature-type-said-interface", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid signature type said interface", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "unsupported-expired-app-key-sign", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "unsupported expired app key sign", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "app-key-security-risk", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "app key security risk", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "app-cert-not-exist", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "app cert not exist", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "alipay-cert-not-exist", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "alipay cert not exist", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "missing-alipay-cert-sn", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "missing alipay cert sn", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-alipay-root-cert-sn", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid alipay root cert sn", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "missing-encrypt-type", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "missing encrypt type", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "missing-encrypt-key", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "missing encrypt key", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "missing-session", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "missing session", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "illegal-timestamp", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "illegal timestamp", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-version", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid version", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "unsupported-version", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "unsupported version", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-encoding", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid encoding", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-digest-type", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid digest type", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-app-state", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid app state", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-subscribe-relations", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid subscribe relations", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "access-data-time-out", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "access data time out", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "openid-error", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "openid error", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-app-method", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid app method", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "missing-app-uid", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "missing app uid", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-partnerid", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid partnerid", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "sevice-not-been-subscribed-to", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "sevice not been subscribed to", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-product", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid product", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "method-forbidden-batch-invoke", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "method forbidden batch invoke", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-app-auth-relations", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid app auth relations", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "app-unbind-partner", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "app unbind partner", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "app-invalid-oid", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "app invalid oid", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "exceed-api-balance", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "exceed api balance", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "inner-app-no-access", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "inner app no access", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-inner-invoke-scene", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid inner invoke scene", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-app-api-field-config", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid app api field config", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-content-type", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid content type", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-http-method", sub_code: None, class: Class::AccountFault(Scope::App, Certainty::Doubtful), meaning: "invalid http method", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-request-data", sub_code: None, class: Class::Unlisted, meaning: "invalid request data", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "illegal-card-no", sub_code: None, class: Class::Unlisted, meaning: "illegal card no", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "exist-blank-sub-request-id", sub_code: None, class: Class::Unlisted, meaning: "exist blank sub request id", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "exist-repeated-sub-request-id", sub_code: None, class: Class::Unlisted, meaning: "exist repeated sub request id", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-file-extension", sub_code: None, class: Class::Unlisted, meaning: "invalid file extension", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-file-size", sub_code: None, class: Class::Unlisted, meaning: "invalid file size", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "invalid-response-data", sub_code: None, class: Class::Ambiguous, meaning: "invalid response data", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "unknown-sub-code", sub_code: None, class: Class::Ambiguous, meaning: "unknown sub code", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "file-check-fail", sub_code: None, class: Class::Retryable, meaning: "file check fail", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
    Row { code: "decryption-error", sub_code: None, class: Class::Retryable, meaning: "decryption error", source: "alipay/alipay-sdk-net-all:v3 CommonErrorType" },
];
