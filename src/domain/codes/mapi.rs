//! Result codes of `sns.admin.close.goods`, one row each, with the document a row was read in.
//!
//! Data only; `codes::find` says how a wire code is matched. "S0" is the interface document of the call itself,
//! "docs" are pages of the vendor's documentation by their path.

use crate::domain::codes::{Certainty, Class, Row, Scope};
use crate::domain::outcome::Reason;

/// The table.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row { code: "SESSION_TIMEOUT", sub_code: None, class: Class::Ambiguous, meaning: "connection time-out (S0), session time-out (other lists)", source: "S0" },
    Row { code: "NO_AUTHORIZE_ACCOUNT", sub_code: None, class: Class::AccountFault(Scope::SnsUser, Certainty::Doubtful), meaning: "user has not authorised", source: "S0" },
    Row { code: "ILLEGAL_PARTNER", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "partner id wrong", source: "S0" },
    Row { code: "SYSTEM_ERROR", sub_code: None, class: Class::Ambiguous, meaning: "gateway system error; may have run", source: "S0" },
    Row { code: "ILLEGAL_SIGN", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Doubtful), meaning: "signature does not verify", source: "S0" },
    Row { code: "ILLEGAL_ARGUMENT", sub_code: None, class: Class::Terminal(Reason::ItemRejected), meaning: "argument wrong", source: "S0" },
    Row { code: "ILLEGAL_SERVICE", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "no such service", source: "S0" },
    Row { code: "HAS_NO_PRIVILEGE", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "partner may not use this service (not signed or expired)", source: "S0" },
    Row { code: "ILLEGAL_USER_KEY", sub_code: None, class: Class::AccountFault(Scope::SnsUser, Certainty::Doubtful), meaning: "sns user key does not match", source: "S0" },
    Row { code: "ILLEGAL_GOODS_STATUS", sub_code: None, class: Class::GoalState, meaning: "goods are in a state that cannot be taken down", source: "S0" },
    Row { code: "GOODS_NOT_EXIST", sub_code: None, class: Class::Terminal(Reason::ItemNotFound), meaning: "no such goods", source: "S0" },
    Row { code: "ILLEGAL_SIGN_TYPE", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "sign_type not one of MD5, RSA, DSA in upper case", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_CHARSET", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "charset not allowed", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_ENCODING", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "encoding not supported", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "INVALID_CHARACTER_SET", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "charset invalid", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_USER", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "user id wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_EXTERFACE", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "interface configuration wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_PARTNER_EXTERFACE", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "partner has not opened this interface", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_SECURITY_PROFILE", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "no key configured for this algorithm", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_AGENT", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "agent id wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_CLIENT_IP", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "caller address not allowed", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_DYN_MD5_KEY", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "dynamic key wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_ENCRYPT", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "encryption wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_DIGEST_TYPE", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "digest type wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_DIGEST", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "digest wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_FILE_FORMAT", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "file format wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_TARGET_SERVICE", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "target_service wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_ACCESS_SWITCH_SYSTEM", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "partner may not use this system (wrong gateway)", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_SWITCH_SYSTEM", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "system switch failed", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "EXTERFACE_IS_CLOSED", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "interface closed", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "HAS_NO_PUBLICKEY", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "no public key uploaded", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_REQUEST_REFERER", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "referer check", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_ANTI_PHISHING_KEY", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "anti-phishing timestamp wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ANTI_PHISHING_KEY_TIMEOUT", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "anti-phishing timestamp expired", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
    Row { code: "ILLEGAL_EXTER_INVOKE_IP", sub_code: None, class: Class::AccountFault(Scope::Partner, Certainty::Certain), meaning: "anti-phishing address wrong", source: "public lists of mapi codes (such as com.lc.zy…alipay.util.ErrorCode, com.ruyicai…batchpay.BatchPayCode)" },
];
