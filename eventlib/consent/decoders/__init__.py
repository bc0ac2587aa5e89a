"""Strict decoders of consent signals: pure functions that read all of a string or refuse it (S2.5).

They say what a signal states; what that means for our purposes is the policy's business.
"""

from eventlib.consent.decoders.bits import ids_of
from eventlib.consent.decoders.categories import (
    Categories,
    SnowplowConsent,
    decode_categories,
    decode_segment,
    decode_snowplow,
)
from eventlib.consent.decoders.errors import InvalidSignalError
from eventlib.consent.decoders.google import GOOGLE_TYPES, GoogleConsent, decode_google
from eventlib.consent.decoders.gpp import Gpp, decode_gpp
from eventlib.consent.decoders.opt_outs import UsOptOuts
from eventlib.consent.decoders.tcf import PublisherTc, Restriction, TcString, decode_tcf
from eventlib.consent.decoders.tcf_ca import TcfCaString
from eventlib.consent.decoders.us import UsSection
from eventlib.consent.decoders.us_privacy import UsPrivacy, decode_us_privacy

__all__ = [
    "GOOGLE_TYPES",
    "Categories",
    "GoogleConsent",
    "Gpp",
    "InvalidSignalError",
    "PublisherTc",
    "Restriction",
    "SnowplowConsent",
    "TcString",
    "TcfCaString",
    "UsOptOuts",
    "UsPrivacy",
    "UsSection",
    "decode_categories",
    "decode_google",
    "decode_gpp",
    "decode_segment",
    "decode_snowplow",
    "decode_tcf",
    "decode_us_privacy",
    "ids_of",
]
