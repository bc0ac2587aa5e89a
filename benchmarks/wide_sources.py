"""Records as trackers in browsers send them: with all that a library or a warehouse adds of itself."""

from __future__ import annotations

from typing import Any, Final

import orjson

from eventlib.sources.snowplow_fields import COLUMNS
from tests.foreign import ga4, posthog, snowplow

__all__ = ["access_combined", "access_json", "wide_ga4", "wide_posthog", "wide_snowplow"]

_OF_POSTHOG: Final = {
    "$os": "Mac OS X", "$os_version": "10.15.7", "$browser": "Chrome", "$browser_version": 131, "$device_type": "Desktop",
    "$host": "www.example.org", "$pathname": "/guide", "$screen_height": 1080, "$screen_width": 1920, "$viewport_height": 969,
    "$viewport_width": 1903, "$lib_version": "1.203.1", "$insert_id": "m4x1w9t8k2p", "$time": 1790000000.123,
    "$browser_language": "en-GB", "$browser_language_prefix": "en", "$timezone": "Europe/Berlin", "$window_id": "w-1",
    "$referring_domain": "$direct", "$session_entry_referrer": "$direct", "$session_entry_referring_domain": "$direct",
    "$session_entry_url": "https://www.example.org/", "$session_entry_host": "www.example.org", "$session_entry_pathname": "/",
    "$config_defaults": "unset", "$web_vitals_enabled_server_side": False, "$autocapture_disabled_server_side": False,
    "$exception_capture_enabled_server_side": False, "$dead_clicks_enabled_server_side": False, "$active_feature_flags": [],
    "$feature_flag_payloads": {}, "$recording_status": "disabled", "$sdk_debug_retry_queue_size": 0, "token": "phc_1",
    "$process_person_profile": True, "$lib_custom_api_host": "https://e.example.org", "$is_sampled": None,
    "$geoip_country_name": "Germany", "$geoip_country_code": "DE", "$geoip_city_name": "Berlin", "$geoip_time_zone": "Europe/Berlin",
}  # fmt: skip
_OF_GA4: Final = {
    "event_previous_timestamp": "1790000000000000", "event_value_in_usd": None, "event_bundle_sequence_id": "-1730000000",
    "event_server_timestamp_offset": "1200", "user_first_touch_timestamp": "1780000000000000", "is_active_user": True,
    "user_properties": [{"key": "plan", "value": {"string_value": "pro", "set_timestamp_micros": "1780000000000000"}}],
    "user_ltv": {"revenue": 0.0, "currency": "USD"},
    "device": {
        "category": "desktop", "mobile_brand_name": "Apple", "mobile_model_name": "(not set)", "mobile_marketing_name": None,
        "mobile_os_hardware_model": None, "operating_system": "Macintosh", "operating_system_version": "Intel 10.15",
        "vendor_id": None, "advertising_id": None, "language": "en-gb", "is_limited_ad_tracking": "No",
        "time_zone_offset_seconds": None, "web_info": {"browser": "Chrome", "browser_version": "131.0", "hostname": "www.example.org"},
    },
    "geo": {
        "city": "Berlin", "country": "Germany", "continent": "Europe", "region": "Berlin", "sub_continent": "Western Europe",
        "metro": "(not set)",
    },
    "traffic_source": {"name": "(direct)", "medium": "(none)", "source": "(direct)"},
    "collected_traffic_source": dict.fromkeys(
        ("manual_campaign_id", "manual_campaign_name", "manual_source", "manual_medium", "manual_term", "manual_content", "gclid")
    ),
    "session_traffic_source_last_click": {
        "manual_campaign": dict.fromkeys(("campaign_id", "campaign_name", "source", "medium", "term", "content"), "(not set)"),
    },
    "ecommerce": None, "event_dimensions": None, "app_info": None,
}  # fmt: skip
_GA4_PARAMS: Final = {
    "ga_session_number": {"int_value": "3"}, "engagement_time_msec": {"int_value": "1200"}, "engaged_session_event": {"int_value": "1"},
    "page_title": {"string_value": "The complete guide"}, "session_engaged": {"string_value": "1"},
    "ignore_referrer": {"string_value": "true"}, "batch_page_id": {"int_value": "1790000000000"},
}  # fmt: skip
_IGLU: Final = "iglu:com.snowplowanalytics.snowplow"
_OF_SNOWPLOW: Final = {
    "txn_id": 4711, "name_tracker": "sp", "domain_sessionidx": 3, "network_userid": "n-1", "geo_country": "DE", "geo_city": "Berlin",
    "geo_timezone": "Europe/Berlin", "page_title": "The complete guide", "page_urlscheme": "https", "page_urlhost": "www.example.org",
    "page_urlport": 443, "page_urlpath": "/guide", "refr_urlhost": "www.example.com", "refr_medium": "search", "br_lang": "en-GB",
    "br_cookies": 1, "br_colordepth": 24, "br_viewwidth": 1903, "br_viewheight": 969, "os_timezone": "Europe/Berlin",
    "dvce_screenwidth": 1920, "dvce_screenheight": 1080, "doc_charset": "UTF-8", "doc_width": 1903, "doc_height": 8140,
    "domain_sessionid": "s-1", "derived_tstamp": "2026-10-03 08:15:30.123", "etl_tstamp": "2026-10-03 08:15:31.001",
    "contexts": {
        "schema": f"{_IGLU}/contexts/jsonschema/1-0-0",
        "data": [{"schema": f"{_IGLU}/web_page/jsonschema/1-0-0", "data": {"id": "4d1e4c1e-7d5c-4f9a-8f43-2f1f7fb6a1de"}}],
    },
    "derived_contexts": {
        "schema": f"{_IGLU}/contexts/jsonschema/1-0-1",
        "data": [
            {
                "schema": "iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0",
                "data": {"useragentFamily": "Chrome", "useragentMajor": "131", "osFamily": "Mac OS X", "deviceFamily": "Mac"},
            },
            {
                "schema": "iglu:nl.basjes/yauaa_context/jsonschema/1-0-4",
                "data": {"deviceClass": "Desktop", "agentName": "Chrome", "agentVersionMajor": "131", "operatingSystemName": "Mac OS"},
            },
        ],
    },
}  # fmt: skip
_PLACES: Final = {name: place for place, name in enumerate(COLUMNS)}


def wide_posthog(event: dict[str, Any]) -> dict[str, Any]:
    """Return a row of PostHog's with what its library in a browser adds."""
    row = posthog(event)
    return {**row, "properties": {**_OF_POSTHOG, **row["properties"]}}


def wide_ga4(event: dict[str, Any]) -> dict[str, Any]:
    """Return a row of GA4's with all the columns of the export."""
    row = ga4(event)
    params = [{"key": key, "value": value} for key, value in _GA4_PARAMS.items()]
    return {**row, **_OF_GA4, "event_params": [*row["event_params"], *params]}


def wide_snowplow(event: dict[str, Any]) -> bytes:
    """Return an enriched line of Snowplow's with what a browser and the enrichments add."""
    cells = snowplow(event).decode().split("\t")
    for name, value in _OF_SNOWPLOW.items():
        if not cells[_PLACES[name]]:
            cells[_PLACES[name]] = orjson.dumps(value).decode() if isinstance(value, dict) else str(value)
    return "\t".join(cells).encode()


def access_combined(event: dict[str, Any]) -> bytes:
    """Return a fetch of an agent as a server logs it, one for each event."""
    page = event["event_id"][:6]
    return (
        f'192.0.2.7 - - [03/Oct/2026:08:15:30 +0200] "GET /guide/{page}?v={event["event_id"]} HTTP/1.1" 200 4821 "-" '
        '"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)"'
    ).encode()


def access_json(event: dict[str, Any]) -> dict[str, Any]:
    """Return the same fetch as a content delivery network logs it."""
    return {
        "EdgeStartTimestamp": event["received_at"], "ClientIP": "192.0.2.7", "ClientRequestMethod": "GET",
        "ClientRequestHost": "www.example.org", "ClientRequestURI": f"/guide/{event['event_id']}", "EdgeResponseStatus": 200,
        "EdgeResponseBytes": 4821, "ClientRequestReferer": "", "RayID": event["event_id"],
        "ClientRequestUserAgent": "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    }  # fmt: skip
