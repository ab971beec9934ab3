"""What people may do over a network: read < run < administer."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from steelyard.identity.errors import IdentityError
from steelyard.spelling import meant


class Role(enum.IntEnum):
    """Each may what those before it may. The numbers are those of ``identity.proto`` and the store."""

    READ = 1
    RUN = 2
    ADMINISTER = 3


# By an RPC's first word; whatever begins otherwise is for those who administer.
_BY_VERB: Mapping[str, Role] = MappingProxyType(
    {"Get": Role.READ, "List": Role.READ, "Submit": Role.RUN, "Create": Role.RUN, "Cancel": Role.RUN}
)
# Where the first word says too little.
_BY_NAME: Mapping[str, Role] = MappingProxyType(
    {
        "ListUsers": Role.ADMINISTER,
        # Running nights and triage.
        **dict.fromkeys(("BeginNight", "RenewNight", "EndNight", "AbandonNight", "PutNightItem"), Role.RUN),
        **dict.fromkeys(("RecordPoints", "PutAlerts", "ChangeAlert", "AcceptChange", "EndSilence"), Role.RUN),
    }
)


def needed_role(rpc: str) -> Role:
    """Return the least role that may call an RPC of a service for people, by its name ("ListJobs")."""
    if rpc in _BY_NAME:
        return _BY_NAME[rpc]
    return next((role for verb, role in _BY_VERB.items() if rpc.startswith(verb)), Role.ADMINISTER)


def parse_role(text: str) -> Role:
    """Read "read", "run" or "administer".

    Raises:
        IdentityError: ``unknown_role``.
    """
    names = {role.name.lower(): role for role in Role}
    if text not in names:
        raise IdentityError("unknown_role", f"there is no role {text[:40]!r}; {meant(text, names)}")
    return names[text]
