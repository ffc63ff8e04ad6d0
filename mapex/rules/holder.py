"""Who holds a grant: the value of the header `x-mapex-holder`, which the exchange expects and the client sends.

A download address of original footage works only together with it, and it is in no address: a leaked one opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "x-mapex-holder"


def holder_of(token: str, grant_id: str) -> str:
    """HMAC-SHA256(secret of the token, "mapex-holder" || grant id), hex.

    Args:
        token: an API token `mpx_ID_SECRET`; the secret itself may hold underscores.
        grant_id: id of the grant, as the API gave it.
    """
    secret = token.split("_", 2)[-1]
    return hmac.new(secret.encode(), b"mapex-holder" + grant_id.encode(), hashlib.sha256).hexdigest()
