"""The names of Snowplow's fields: columns of an enriched event in their order, and the parameters that trackers send for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["BOOLEANS", "COLUMNS", "DIMENSIONS", "INTEGERS", "KINDS", "NUMBERS", "PARAMETERS", "TIMES"]

COLUMNS: Final = (
    "app_id", "platform", "etl_tstamp", "collector_tstamp", "dvce_created_tstamp", "event", "event_id", "txn_id",
    "name_tracker", "v_tracker", "v_collector", "v_etl", "user_id", "user_ipaddress", "user_fingerprint", "domain_userid",
    "domain_sessionidx", "network_userid", "geo_country", "geo_region", "geo_city", "geo_zipcode", "geo_latitude",
    "geo_longitude", "geo_region_name", "ip_isp", "ip_organization", "ip_domain", "ip_netspeed", "page_url", "page_title",
    "page_referrer", "page_urlscheme", "page_urlhost", "page_urlport", "page_urlpath", "page_urlquery", "page_urlfragment",
    "refr_urlscheme", "refr_urlhost", "refr_urlport", "refr_urlpath", "refr_urlquery", "refr_urlfragment", "refr_medium",
    "refr_source", "refr_term", "mkt_medium", "mkt_source", "mkt_term", "mkt_content", "mkt_campaign", "contexts",
    "se_category", "se_action", "se_label", "se_property", "se_value", "unstruct_event", "tr_orderid", "tr_affiliation",
    "tr_total", "tr_tax", "tr_shipping", "tr_city", "tr_state", "tr_country", "ti_orderid", "ti_sku", "ti_name",
    "ti_category", "ti_price", "ti_quantity", "pp_xoffset_min", "pp_xoffset_max", "pp_yoffset_min", "pp_yoffset_max",
    "useragent", "br_name", "br_family", "br_version", "br_type", "br_renderengine", "br_lang", "br_features_pdf",
    "br_features_flash", "br_features_java", "br_features_director", "br_features_quicktime", "br_features_realplayer",
    "br_features_windowsmedia", "br_features_gears", "br_features_silverlight", "br_cookies", "br_colordepth",
    "br_viewwidth", "br_viewheight", "os_name", "os_family", "os_manufacturer", "os_timezone", "dvce_type", "dvce_ismobile",
    "dvce_screenwidth", "dvce_screenheight", "doc_charset", "doc_width", "doc_height", "tr_currency", "tr_total_base",
    "tr_tax_base", "tr_shipping_base", "ti_currency", "ti_price_base", "base_currency", "geo_timezone", "mkt_clickid",
    "mkt_network", "etl_tags", "dvce_sent_tstamp", "refr_domain_userid", "refr_dvce_tstamp", "derived_contexts",
    "domain_sessionid", "derived_tstamp", "event_vendor", "event_name", "event_format", "event_version", "event_fingerprint",
    "true_tstamp",
)  # fmt: skip

TIMES: Final = ("dvce_created_tstamp", "dvce_sent_tstamp", "collector_tstamp", "true_tstamp")
"""The times that are read; all of Snowplow's are UTC, though columns state no zone."""

INTEGERS: Final = frozenset({
    "txn_id", "domain_sessionidx", "page_urlport", "refr_urlport", "ti_quantity", "pp_xoffset_min", "pp_xoffset_max",
    "pp_yoffset_min", "pp_yoffset_max", "br_viewwidth", "br_viewheight", "dvce_screenwidth", "dvce_screenheight",
    "doc_width", "doc_height",
})  # fmt: skip
NUMBERS: Final = frozenset({
    "geo_latitude", "geo_longitude", "se_value", "tr_total", "tr_tax", "tr_shipping", "ti_price", "tr_total_base",
    "tr_tax_base", "tr_shipping_base", "ti_price_base",
})  # fmt: skip
BOOLEANS: Final = frozenset({
    "br_features_pdf", "br_features_flash", "br_features_java", "br_features_director", "br_features_quicktime",
    "br_features_realplayer", "br_features_windowsmedia", "br_features_gears", "br_features_silverlight", "br_cookies",
    "dvce_ismobile",
})  # fmt: skip

KINDS: Final[Mapping[str, str]] = {
    "pv": "page_view", "pp": "page_ping", "tr": "transaction", "ti": "transaction_item", "se": "struct", "ev": "struct",
    "ue": "unstruct", "ad": "ad_impression",
}  # fmt: skip
"""Kinds of events, as the parameter `e` has them."""

DIMENSIONS: Final[Mapping[str, tuple[str, str]]] = {
    "res": ("dvce_screenwidth", "dvce_screenheight"),
    "vp": ("br_viewwidth", "br_viewheight"),
    "ds": ("doc_width", "doc_height"),
}

PARAMETERS: Final[Mapping[str, str]] = {
    "e": "event", "p": "platform", "tv": "v_tracker", "eid": "event_id", "tna": "name_tracker", "aid": "app_id", "tid": "txn_id",
    "cv": "v_collector", "dtm": "dvce_created_tstamp", "stm": "dvce_sent_tstamp", "ttm": "true_tstamp",
    "uid": "user_id", "duid": "domain_userid", "tnuid": "network_userid", "nuid": "network_userid", "ip": "user_ipaddress",
    "ua": "useragent", "fp": "user_fingerprint", "vid": "domain_sessionidx", "sid": "domain_sessionid",
    "url": "page_url", "page": "page_title", "refr": "page_referrer", "lang": "br_lang", "cookie": "br_cookies",
    "f_pdf": "br_features_pdf", "f_fla": "br_features_flash", "f_java": "br_features_java", "f_dir": "br_features_director",
    "f_qt": "br_features_quicktime", "f_realp": "br_features_realplayer", "f_wma": "br_features_windowsmedia",
    "f_gears": "br_features_gears", "f_ag": "br_features_silverlight", "cd": "br_colordepth", "tz": "os_timezone",
    "cs": "doc_charset", "se_ca": "se_category", "se_ac": "se_action", "se_la": "se_label", "se_pr": "se_property",
    "se_va": "se_value", "ev_ca": "se_category", "ev_ac": "se_action", "ev_la": "se_label", "ev_pr": "se_property",
    "ev_va": "se_value", "tr_id": "tr_orderid", "tr_af": "tr_affiliation", "tr_tt": "tr_total", "tr_tx": "tr_tax",
    "tr_sh": "tr_shipping", "tr_ci": "tr_city", "tr_st": "tr_state", "tr_co": "tr_country", "tr_cu": "tr_currency",
    "ti_id": "ti_orderid", "ti_sk": "ti_sku", "ti_nm": "ti_name", "ti_na": "ti_name", "ti_ca": "ti_category",
    "ti_pr": "ti_price", "ti_qu": "ti_quantity", "ti_cu": "ti_currency", "pp_mix": "pp_xoffset_min", "pp_max": "pp_xoffset_max",
    "pp_miy": "pp_yoffset_min", "pp_may": "pp_yoffset_max",
}  # fmt: skip
"""Columns by the parameter that is sent for each; `tnuid` holds before `nuid`."""
