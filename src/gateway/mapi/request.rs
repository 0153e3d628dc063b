//! Building the request of `sns.admin.close.goods`.
