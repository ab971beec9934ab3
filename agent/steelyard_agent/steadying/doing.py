"""Does what was offered, remembers what was there before, and puts it back.

The ledger (``fixes.json`` in the state directory) is written before anything is changed: a crash in between leaves a
ledger that undoes what was done and finds the rest untouched.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from steelyard_agent.boot_id import read_boot_id
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import CPUFREQ_FOLDER
from steelyard_agent.meters.sysfs import text_or_empty
from steelyard_agent.state.durable import write_durably
from steelyard_agent.state.errors import StateError
from steelyard_agent.state.settings import DeviceSettings, write_settings
from steelyard_agent.steadying.offers import FileChange, Offer

LEDGER_FILE = "fixes.json"
# All that an offer changes; the kernel's names of governors are shorter (CPUFREQ_NAME_LEN is 16).
_GOVERNOR_FILE = re.compile(rf"{CPUFREQ_FOLDER}/[A-Za-z0-9_-]+/scaling_governor")
_GOVERNOR = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of one change: a sentence, and whether it is as was asked for now."""

    sentence: str
    succeeded: bool


def apply_offers(system: System, offers: Sequence[Offer], state_root: Path) -> list[Done]:
    """Make the changes; one that fails says why and leaves the others alone.

    Raises:
        StateError: The state directory cannot be written, or holds a ledger that is not ours: nothing was changed.
    """
    ledger = _read(state_root)
    boot_id = read_boot_id(system)
    former = _still_due(ledger, boot_id)
    asked = [change for offer in offers for change in offer.changes]
    settings = next((offer.settings for offer in offers if offer.settings is not None), None)
    kept = _Ledger(
        boot_id=boot_id,
        # What was there before the first fix is what an undo brings back.
        changes=(*former, *(change for change in asked if change.file not in {one.file for one in former})),
        settings_changed=ledger.settings_changed or settings is not None,
    )
    _write(state_root, kept)
    done = [_change(system, change.file, change.after) for change in asked]
    if settings is not None:
        write_settings(state_root, settings)
        done.append(Done(sentence="workers are pinned to the big cores where a plan names none", succeeded=True))
    return done


def undo(system: System, state_root: Path) -> list[Done]:
    """Put back what the fixes changed, and forget it; what somebody changed since is left alone.

    Raises:
        StateError: The state directory cannot be written, or holds a ledger that is not ours.
    """
    ledger = _read(state_root)
    due = _still_due(ledger, read_boot_id(system))
    done = [_put_back(system, change) for change in due]
    if ledger.changes and not due:
        done.append(
            Done(sentence="the device was started anew since, which put its governors back by itself", succeeded=True)
        )
    if ledger.settings_changed:
        write_settings(state_root, DeviceSettings())
        done.append(Done(sentence="workers are no longer pinned to the big cores", succeeded=True))
    if all(one.succeeded for one in done):
        _forget(state_root)
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ledger:
    boot_id: str = ""
    changes: tuple[FileChange, ...] = ()
    settings_changed: bool = False


def _still_due(ledger: _Ledger, boot_id: str) -> tuple[FileChange, ...]:
    """Return the changes that outlived nothing: sysfs starts anew with every boot."""
    return ledger.changes if ledger.boot_id == boot_id else ()


def _put_back(system: System, change: FileChange) -> Done:
    now = text_or_empty(system, change.file)
    if now == change.before:
        return Done(sentence=f"{change.file} holds {change.before} again", succeeded=True)
    if now != change.after:
        found = f"{now!r}" if now else "nothing that can be read"
        return Done(
            sentence=f"{change.file} holds {found} and not {change.after!r}: somebody changed it since, and it is left "
            "alone",
            succeeded=True,
        )
    return _change(system, change.file, change.before)


def _change(system: System, file: str, text: str) -> Done:
    try:
        descriptor = system.open_descriptor(system.path(file), os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)
    except PermissionError:
        return Done(sentence=f"{file} was not changed: only root may write it; run this with sudo", succeeded=False)
    except OSError as error:
        return Done(sentence=f"{file} was not changed: {error.strerror or error}", succeeded=False)
    # A driver may take the write and keep its mind.
    if (now := text_or_empty(system, file)) != text:
        return Done(sentence=f"{file} took {text!r} and still holds {now!r}", succeeded=False)
    return Done(sentence=f"{file} holds {text}", succeeded=True)


def _read(state_root: Path) -> _Ledger:
    path = state_root / LEDGER_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        changes = tuple(FileChange(**change) for change in record.pop("changes"))
        return _checked(_Ledger(changes=changes, **record))
    except FileNotFoundError:
        return _Ledger()
    except (OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StateError(
            "bad_ledger", f"{path}, which says what to undo, cannot be read ({error}); look at it, then remove it"
        ) from error


def _checked(ledger: _Ledger) -> _Ledger:
    """Refuse a ledger that we did not write: root writes what it says, and a user keeps the file.

    Raises:
        TypeError: A value is of another type.
        ValueError: It names another file or text than an offer does.
    """
    if not isinstance(ledger.boot_id, str) or not isinstance(ledger.settings_changed, bool):
        raise TypeError("boot_id is no text, or settings_changed is neither true nor false")
    for change in ledger.changes:
        if not isinstance(change.file, str) or _GOVERNOR_FILE.fullmatch(change.file) is None:
            raise ValueError(f"{change.file!r} is no file that a fix changes")
        for text in (change.before, change.after):
            if not isinstance(text, str) or _GOVERNOR.fullmatch(text) is None:
                raise ValueError(f"{text!r} is no governor")
    return ledger


def _forget(state_root: Path) -> None:
    path = state_root / LEDGER_FILE
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(
            "state_directory_unusable",
            f"all is undone, but {path} cannot be removed ({error.strerror}); remove it as the user who may",
        ) from error


def _write(state_root: Path, ledger: _Ledger) -> None:
    try:
        state_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(state_root / LEDGER_FILE, json.dumps(asdict(ledger)).encode("utf-8"))
    except OSError as error:
        raise StateError(
            "state_directory_unusable",
            f"nothing was changed, because what to undo cannot be kept in {state_root} ({error.strerror}); choose "
            "another with --state-directory",
        ) from error
