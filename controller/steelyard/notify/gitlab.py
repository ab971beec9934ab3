"""GitLab: a note on a merge request, or the status of a commit.

docs.gitlab.com, REST API version 4: notes of merge requests, commit statuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from steelyard.notify.address import split_url
from steelyard.notify.digest import PASS, Digest
from steelyard.notify.errors import NotifyError
from steelyard.notify.markers import find_marked, marked_text
from steelyard.notify.paging import PAGE_SIZE, every
from steelyard.notify.secret import Secret
from steelyard.notify.shortening import shortened_line
from steelyard.notify.web import Service
from steelyard.notify.world import World

DEFAULT_API = "https://gitlab.com/api/v4"
# Of a note (application limits of GitLab), and of a status' description and target (validated columns).
_MAX_NOTE = 1_000_000
_MAX_LINE = 255
# Statuses know no third word: a night that is incomplete must not look like a pass.
_STATES = {PASS: "success"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLab:
    """Where in GitLab: exactly one of ``merge_request`` (the number in its URL) and ``commit``.

    ``project`` is "group/name" or its number; ``api`` "https://HOST/api/v4".
    """

    name: str
    project: str
    token: Secret
    merge_request: int | None = None
    commit: str = ""
    api: str = DEFAULT_API
    kind: str = "gitlab"

    def __post_init__(self) -> None:
        """Refuse none and both."""
        if (self.merge_request is None) != bool(self.commit):
            raise ValueError("name one of merge_request and commit")

    def send(self, digest: Digest, world: World) -> None:
        """Write the note, or the status, in place of the last one of the same row.

        Raises:
            NotifyError: ``missing_secret``, ``service_silent``, ``service_refused``.
        """
        token = self.token.read(world.environ)
        address, prefix = split_url(self.api, is_secret=True)
        service = Service(
            shown=f"GitLab ({self.name})",
            address=address,
            headers={"PRIVATE-TOKEN": token},
            secrets=(token,),
        )
        project = f"{prefix.rstrip('/')}/projects/{quote(self.project, safe='')}"
        if self.merge_request is not None:
            self._note(service, f"{project}/merge_requests/{self.merge_request}/notes", digest, world)
        else:
            self._status(service, f"{project}/statuses/{quote(self.commit, safe='')}", digest, world)

    def _note(self, service: Service, notes: str, digest: Digest, world: World) -> None:
        pages = every(lambda page: service.ask("GET", f"{notes}?per_page={PAGE_SIZE}&page={page}&sort=asc", world))
        found = find_marked(pages, digest)
        body = {"body": marked_text(digest, _MAX_NOTE)}
        if found is not None:
            service.ask("PUT", f"{notes}/{found}", world, body=body)
        else:
            service.ask("POST", notes, world, body=body)

    def _status(self, service: Service, statuses: str, digest: Digest, world: World) -> None:
        body: dict[str, object] = {
            "name": f"steelyard/{digest.key}",
            "state": _STATES.get(digest.verdict, "failed"),
            "description": shortened_line(digest.title, _MAX_LINE),
        }
        if digest.url and len(digest.url) <= _MAX_LINE:
            body["target_url"] = digest.url
        try:
            service.ask("POST", statuses, world, body=body)
        except NotifyError as error:
            # "Cannot transition status via :success from :success": it says so already.
            if "Cannot transition status" not in str(error):
                raise
