//! Building the request of `alipay.open.servicemarket.commodity.shop.offline`.
