"""Whether a CI job runs a change from a fork: its files are a stranger's, and its device is ours.

GitHub: the event's payload (docs.github.com, "Webhook events and payloads", pull_request). GitLab: predefined variables
(docs.gitlab.com, "Predefined CI/CD variables").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def fork_of(environment: Mapping[str, str]) -> str:
    """Return the repository that a pull or merge request comes from where that is another one, else "".

    A payload that cannot be read is a fork: nobody could say that it is none.
    """
    if environment.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        return _github(environment.get("GITHUB_EVENT_PATH", ""))
    source = environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "")
    if source and source != environment.get("CI_MERGE_REQUEST_PROJECT_ID", ""):
        return environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "") or f"project {source}"
    return ""


def _github(event_path: str) -> str:
    try:
        event = json.loads(Path(event_path).read_text("utf-8"))
        head, base = (_repository(event["pull_request"][side]) for side in ("head", "base"))
    except (OSError, ValueError, KeyError, TypeError):
        return "a repository that the event does not name"
    return "" if head == base else head


def _repository(side: Mapping[str, Any]) -> str:
    # A fork that was deleted meanwhile has no repository.
    name = (side.get("repo") or {}).get("full_name")
    return name if isinstance(name, str) and name else "a deleted repository"
