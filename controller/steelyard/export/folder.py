"""Write an export: everything into a folder beside the target, then one rename, so that no half of it is ever found."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steelyard.errors import UsageError
from steelyard.export.inference_script import inference_script
from steelyard.export.model_card import model_card
from steelyard.export.signature import EXPORT_KIND, model_file_name, signature_document
from steelyard_protocol.v1 import control_pb2, measurement_pb2

CHECKSUMS = "SHA256SUMS"
_SIGNATURE = "signature.json"


def write_export(
    directory: Path,
    *,
    artifact: control_pb2.Artifact,
    model_bytes: bytes,
    lineage_chain: Sequence[control_pb2.Artifact] = (),
    measurements: Sequence[measurement_pb2.Measurement] = (),
    task: control_pb2.Task | None = None,
    exporters: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write the export of ``artifact`` and return the files, in the order of their names.

    Args:
        directory: made when it is not there. One that holds a previous export of the same artifact, and nothing else,
            is replaced.
        artifact: what is exported.
        model_bytes: the bytes that ``artifact.digest`` is of.
        lineage_chain: its ancestors, nearest first, as far as they are known.
        measurements: those that figures are shown from; those without this artifact are left out.
        task: what the accuracy in them is of.
        exporters: kinds of plugins' exporters, which add files of their own.

    Raises:
        UsageError: the bytes are not the artifact's (``digest_mismatch``), the directory holds something else
            (``directory_not_empty``, ``not_a_directory``), or an exporter cannot be used.
    """
    _check_digest(artifact, model_bytes)
    _check_target(directory, artifact)
    measured = [one for one in measurements if _variant_of(one, artifact) is not None]
    shapes = _input_shapes(measured, artifact)
    signature = signature_document(artifact, task=task, shapes=shapes)
    texts = {
        "MODEL_CARD.md": model_card(artifact, lineage_chain=lineage_chain, measurements=measured, task=task),
        _SIGNATURE: json.dumps(signature, indent=2) + "\n",
        "infer.py": inference_script(artifact, shapes=shapes),
    }
    if artifact.HasField("lineage") and artifact.lineage.recipe_toml:
        texts["recipe.toml"] = artifact.lineage.recipe_toml
    files = {name: text.encode("utf-8") for name, text in texts.items()} | {model_file_name(artifact): model_bytes}
    files |= _exported(exporters, model_bytes, signature, taken=[*files, CHECKSUMS])
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    _write_folder(directory, files | {CHECKSUMS: sums.encode("ascii")})
    return tuple(directory / name for name in sorted([*files, CHECKSUMS]))


def _exported(
    exporters: Sequence[str], model_bytes: bytes, signature: dict[str, Any], *, taken: Sequence[str]
) -> dict[str, bytes]:
    if not exporters:
        return {}
    from steelyard.plugins.exporting import exported_files

    with tempfile.TemporaryDirectory(prefix="steelyard-") as work:
        model_path = Path(work) / str(signature["file"])
        model_path.write_bytes(model_bytes)
        return exported_files(exporters, model_path, signature, taken=taken)


def _check_digest(artifact: control_pb2.Artifact, model_bytes: bytes) -> None:
    actual = hashlib.sha256(model_bytes).hexdigest()
    if actual != artifact.digest:
        raise UsageError(
            "digest_mismatch",
            f"the bytes of {artifact.name!r} are {actual[:12]}, not {artifact.digest[:12]}; fetch the model again",
        )


def _check_target(directory: Path, artifact: control_pb2.Artifact) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UsageError("not_a_directory", f"{directory} is a file; name a directory to export to")
    present = {path.name for path in directory.iterdir()}
    if not present:
        return
    exported, names = _previous_export(directory)
    if exported != artifact.digest:
        what = f"an export of another model ({exported[:12]})" if exported else "files that are not an export"
        raise UsageError("directory_not_empty", f"{directory} holds {what}; name a new directory")
    foreign = sorted(present - names)
    if foreign:
        raise UsageError(
            "directory_not_empty",
            f"{directory} holds {foreign[0]!r} beside a previous export; move it away or name a new directory",
        )


def _previous_export(directory: Path) -> tuple[str, set[str]]:
    """Return the digest of the artifact that was exported here, "" for none, and the names of its files."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        document = json.loads((directory / _SIGNATURE).read_text("utf-8"))
        lines = (directory / CHECKSUMS).read_text("utf-8").splitlines()
        if isinstance(document, dict) and document.get("kind") == EXPORT_KIND:
            return str(document.get("artifact_digest", "")), {line[66:] for line in lines} | {CHECKSUMS}
    return "", set()


def _write_folder(directory: Path, files: dict[str, bytes]) -> None:
    parent = directory.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".part", dir=parent))
    try:
        # mkdtemp's folder is for its owner only; an export is for everybody whom the umask lets in.
        content = temporary / "content"
        content.mkdir()
        for name, data in files.items():
            (content / name).write_bytes(data)
        if directory.exists():
            directory.rename(temporary / "previous")
        content.rename(directory)
    except OSError:
        with contextlib.suppress(OSError):
            (temporary / "previous").rename(directory)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _variant_of(
    measurement: measurement_pb2.Measurement, artifact: control_pb2.Artifact
) -> measurement_pb2.VariantMeasurement | None:
    return next((one for one in measurement.variants if one.artifact_digest == artifact.digest), None)


def _input_shapes(
    measurements: Sequence[measurement_pb2.Measurement], artifact: control_pb2.Artifact
) -> dict[str, tuple[int, ...]]:
    """Return the sizes that dynamic inputs were measured with."""
    for measurement in measurements:
        for planned in measurement.plan.artifacts:
            if planned.artifact_digest == artifact.digest and planned.input_shapes:
                return {name: tuple(shape.sizes) for name, shape in planned.input_shapes.items()}
    return {}
