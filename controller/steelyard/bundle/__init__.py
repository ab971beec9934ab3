"""Measurements as one archive that anybody can recompute: write one, verify one, read one.

>>> from steelyard.bundle import verify_bundle, write_bundle
>>> written = write_bundle(client, ["3f9a"], "fashion.zip")  # doctest: +SKIP
>>> verify_bundle("fashion.zip").agrees  # doctest: +SKIP
True
"""

from steelyard.bundle.archive import BundleArchive, open_bundle
from steelyard.bundle.compare import Difference
from steelyard.bundle.errors import BundleError
from steelyard.bundle.manifest import BundledJob, Manifest, Member
from steelyard.bundle.verify import JobVerification, Verification, read_measurements, verify_bundle
from steelyard.bundle.write import WrittenBundle, write_bundle

__all__ = [
    "BundleArchive",
    "BundleError",
    "BundledJob",
    "Difference",
    "JobVerification",
    "Manifest",
    "Member",
    "Verification",
    "WrittenBundle",
    "open_bundle",
    "read_measurements",
    "verify_bundle",
    "write_bundle",
]
