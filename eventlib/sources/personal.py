"""What says who somebody is: members that are not kept, and addresses in texts, which are masked (S2.9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from eventlib.masking import hides_email, mask_emails
from eventlib.sources.base import Event, Repairs
from eventlib.sources.vocabulary import letters

__all__ = ["NOT_KEPT", "forget"]

NOT_KEPT: Final = "says who or where somebody is: not kept"

_REMEMBERED: Final = 4096
_HARMLESS: Final[set[str]] = set()
"""Names that were looked at and say nothing of the kind, as far as there is room to remember them."""
_PERSONAL: Final = frozenset({
    "ip", "ipaddress", "useripaddress", "remoteip", "clientip", "remoteaddr", "requestip", "email", "emailaddress", "phone",
    "phonenumber", "mobilephone", "firstname", "lastname", "fullname", "birthday", "dateofbirth", "street", "streetaddress",
    "advertisingid", "idfa", "idfv", "gaid", "androidid", "appleidfa", "appleidfv", "androididfa", "openidfa", "appsetid",
    "ssn", "taxid", "iban", "creditcard", "cardnumber", "userid", "anonymousid", "distinctid", "useremail", "customeremail",
    "contactemail", "billingemail", "shippingemail", "emailhash", "emailsha256", "hashedemail", "userphone", "customerphone",
    "userip", "ipaddr", "ipv4", "ipv6", "xforwardedfor", "lastknownip", "givenname", "familyname", "surname", "realname", "nickname",
    "zip", "zipcode", "postcode", "postalcode", "latitude", "longitude", "dob", "password", "passwd", "imei", "oaid", "gpsadid",
    "visitorid", "clientid", "deviceid", "customerid", "customeruserid", "registrationtoken", "devicetoken", "pushtoken",
    "emailsha256hash", "fromphonenumber", "tophonenumber",
})  # fmt: skip
"""Names, in small letters without marks, under which trackers keep what must not be saved as it is."""


def forget(record: Event, scope: str, repairs: Repairs) -> None:
    """Take out what says who somebody is or where they live, however deep: it would be saved as it is (S2.9)."""
    waiting: list[Any] = [record]
    while waiting:
        held = waiting.pop()
        if type(held) is dict:
            if not _HARMLESS.issuperset(held):
                for name in [name for name in held if _is_personal(name)]:
                    if held.pop(name) is not None:
                        known = letters(name)
                        repairs.add(scope, known if known in _PERSONAL else "(names)", NOT_KEPT)
            places: Iterable[Any] = held
        else:
            places = range(len(held))
        for place in places:
            value = held[place]
            kind = type(value)
            if kind is dict or kind is list:
                waiting.append(value)
            elif kind is str and ("@" in value or "%" in value) and (masked := mask_emails(value)) != value:
                held[place] = masked
                repairs.add(scope, "(texts)", "an e-mail address in it: masked")


def _is_personal(name: str) -> bool:
    if name in _HARMLESS:
        return False
    found_so = (len(name) < 64 and letters(name) in _PERSONAL) or hides_email(name)
    if not found_so and len(_HARMLESS) < _REMEMBERED and len(name) < 64:
        _HARMLESS.add(name)
    return found_so
