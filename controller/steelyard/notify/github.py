"""GitHub: a comment on an issue or a pull request, or a check run of a commit.

docs.github.com, REST API version 2022-11-28: issue comments, check runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from steelyard.notify.address import split_url
from steelyard.notify.digest import PASS, Digest
from steelyard.notify.harmless import harmless
from steelyard.notify.markers import find_marked, marked_text
from steelyard.notify.paging import PAGE_SIZE, every
from steelyard.notify.secret import Secret
from steelyard.notify.shortening import shortened, shortened_line
from steelyard.notify.web import Service
from steelyard.notify.world import World

DEFAULT_API = "https://api.github.com"
_API_VERSION = "2022-11-28"
# The limits of the columns behind both texts; a longer one is refused with 422.
_MAX_BODY = 65_535
_MAX_TITLE = 255
_CHECK_NAME = "Steelyard"
_CONCLUSIONS = {PASS: "success", "REGRESSED": "failure"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """Where in GitHub: exactly one of ``issue`` (a pull request is one, too) and ``commit``.

    ``api`` is "https://HOST/api/v3" for a server of one's own.
    """

    name: str
    repository: str
    token: Secret
    issue: int | None = None
    commit: str = ""
    api: str = DEFAULT_API
    kind: str = "github"

    def __post_init__(self) -> None:
        """Refuse none and both."""
        if (self.issue is None) != bool(self.commit):
            raise ValueError("name one of issue, pull_request and commit")

    def send(self, digest: Digest, world: World) -> None:
        """Write the comment, or the check run, in place of the last one of the same row.

        Raises:
            NotifyError: ``missing_secret``, ``service_silent``, ``service_refused``.
        """
        token = self.token.read(world.environ)
        address, prefix = split_url(self.api, is_secret=True)
        repository = f"{prefix.rstrip('/')}/repos/{quote(self.repository)}"
        service = Service(
            shown=f"GitHub ({self.name})",
            address=address,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": _API_VERSION,
            },
            secrets=(token,),
        )
        if self.issue is not None:
            self._comment(service, repository, digest, world)
        else:
            self._check(service, repository, digest, world)

    def _comment(self, service: Service, repository: str, digest: Digest, world: World) -> None:
        comments = f"{repository}/issues/{self.issue}/comments"
        pages = every(lambda page: service.ask("GET", f"{comments}?per_page={PAGE_SIZE}&page={page}", world))
        found = find_marked(pages, digest)
        body = {"body": marked_text(digest, _MAX_BODY)}
        if found is not None:
            service.ask("PATCH", f"{repository}/issues/comments/{found}", world, body=body)
        else:
            # A retry looks for the comment anew, so that one that did arrive is not written twice.
            service.ask("POST", comments, world, body=body)

    def _check(self, service: Service, repository: str, digest: Digest, world: World) -> None:
        body: dict[str, object] = {
            "name": f"{_CHECK_NAME} {digest.key}",
            "external_id": f"{digest.key}#{digest.number}",
            "status": "completed",
            "conclusion": _CONCLUSIONS.get(digest.verdict, "neutral"),
            "output": {
                "title": shortened_line(digest.title, _MAX_TITLE),
                "summary": shortened(harmless(digest.markdown), _MAX_BODY, url=digest.url),
            },
        }
        if digest.url:
            body["details_url"] = digest.url
        found = self._find_check(service, repository, str(body["name"]), world)
        if found is not None:
            service.ask("PATCH", f"{repository}/check-runs/{found}", world, body=body)
        else:
            service.ask("POST", f"{repository}/check-runs", world, body={**body, "head_sha": self.commit})

    def _find_check(self, service: Service, repository: str, check_name: str, world: World) -> int | None:
        query = f"check_name={quote(check_name, safe='')}&filter=latest&per_page={PAGE_SIZE}"
        path = f"{repository}/commits/{quote(self.commit, safe='')}/check-runs?{query}"
        answer = service.ask("GET", path, world)
        runs = answer.get("check_runs", []) if isinstance(answer, dict) else []
        ids = [run.get("id") for run in runs if isinstance(run, dict) and run.get("name") == check_name]
        return next((one for one in ids if isinstance(one, int)), None)
