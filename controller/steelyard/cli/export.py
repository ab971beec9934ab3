"""`steelyard export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.session import connected
from steelyard.cli.writing import writing
from steelyard_protocol.v1 import control_pb2, measurement_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

_NEWEST_JOBS = 50


@click.command()
@click.argument("variant", metavar="VARIANT")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A folder that is not there yet.")
@click.option("--exporter", "exporters", multiple=True, metavar="KIND", help="Add a plugin's files; repeatable.")
@plugin_flag
@click.pass_context
def export(ctx: click.Context, variant: str, output: Path, exporters: tuple[str, ...]) -> None:
    """Write a variant with its model card, input and output specification, and a script that runs it.

    \b
    Examples:
      steelyard export fashion_resnet-static-int8 -o shipped/
      steelyard export fashion_resnet-static-int8 -o shipped/ --exporter c-header --plugin mine.py
    """
    from steelyard.export.folder import write_export

    with connected(ctx) as client:
        artifact = client.artifact(variant)
        measurements = _measurements_of(client, artifact.digest)
        task_id = next((one.task_id for one in measurements if one.task_id), "")
        with writing(output):
            write_export(
                output,
                artifact=artifact,
                model_bytes=client.download(artifact.digest),
                lineage_chain=_ancestors(client, artifact),
                measurements=measurements,
                task=client.task(task_id) if task_id else None,
                exporters=exporters,
            )
    click.echo(str(output))


def _ancestors(client: Client, artifact: control_pb2.Artifact) -> list[control_pb2.Artifact]:
    chain = []
    while artifact.lineage.parent_digest:
        artifact = client.artifact(artifact.lineage.parent_digest)
        chain.append(artifact)
    return chain


def _measurements_of(client: Client, digest: str) -> list[measurement_pb2.Measurement]:
    """Return the newest finished measurement of this artifact on each device; one with accuracy goes first."""
    newest: dict[str, measurement_pb2.Measurement] = {}
    finished = [
        job
        for job in client.jobs()
        if job.kind == control_pb2.JOB_KIND_MEASUREMENT and job.state == control_pb2.JOB_STATE_RECORDED
    ]
    for job in finished[:_NEWEST_JOBS]:
        measurement = client.measurement(job.job_id).measurement
        if any(one.artifact_digest == digest for one in measurement.variants):
            held = newest.get(measurement.device.device_id)
            if held is None or (measurement.task_id and not held.task_id):
                newest[measurement.device.device_id] = measurement
    return list(newest.values())
