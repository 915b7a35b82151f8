"""What a job's record asks for, signed when it was submitted; a person's release, and what is known of a delivered object, likewise.

A job is done only as it was submitted: whoever can write to Redis and has no key can stop it, and can't make it publish something
else, or elsewhere. A signature is a sealed digest with its owner, so that it is no other record's and moves with a rotation of keys.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import replace

from redis.asyncio import Redis

from tasks.errors import KeyTrouble
from tasks.model import JobState
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Claimed, Shown, Subject
from tasks.state.journal import Journal
from tasks.state.stored import text
from tasks.state.vault import Vault

log = logging.getLogger(__name__)

SIGNED = (
    "command",
    "destination",
    "kind",
    "subject",
    "content",
    "follows",
    "family",
    "callback_url",
    "callback_origin",
    "callback_key",
)
PURPOSE, RECEIPTS = "job", "receipt"
RELEASED = "released"
SIGNATURE, RELEASE, RECEIPT = "signed", "release_seal", "receipt_seal"  # the fields of the records that hold them
UNFINISHED = (JobState.QUEUED, JobState.RETRYING, JobState.RUNNING, JobState.HELD, JobState.DEAD)
BATCH = 200
LONG_PAST_MS = 1


def signature(vault: Vault, job_id: str, fields: Mapping[str, str]) -> str:
    """The signature of what a job's stored fields ask for."""
    return vault.seal(_digest(_asked(job_id, fields)), purpose=PURPOSE, owner=job_id)


def release(vault: Vault, job_id: str) -> str:
    """The signature of an operator's release of a job."""
    return vault.seal(RELEASED, purpose=PURPOSE, owner=job_id, field=RELEASED)


def receipt_signature(vault: Vault, subject: str, receipt: str) -> str:
    """The signature of a subject's receipt, as it is stored."""
    return vault.seal(_digest(receipt), purpose=RECEIPTS, owner=subject)


def checked(claimed: Claimed, job_id: str, record: Mapping[str, str], vault: Vault, *, unsigned: bool) -> Claimed:
    """A claim with only what is signed: `doubt` where the job isn't as it was submitted, not released without the signature
    of a release, and without a receipt that isn't its subject's. With `unsigned` the version before may have submitted it.
    """
    job = claimed.job
    doubt = None if unsigned and SIGNATURE not in record else doubt_of(vault, job_id, record)
    if job.released and not _fits(vault, record.get(RELEASE), RELEASED, PURPOSE, job_id, RELEASED):
        job = job.model_copy(update={"released": False})
    subject, forged = _known(claimed.subject, job.subject, vault)
    return replace(claimed, job=job, subject=subject, forged=forged, doubt=doubt)


def doubt_of(vault: Vault, job_id: str, record: Mapping[str, str]) -> KeyTrouble | None:
    """Why a job isn't to be done as its record has it; None where it is as it was submitted."""
    try:
        stored = vault.open(record.get(SIGNATURE, ""), purpose=PURPOSE, owner=job_id)
    except KeyTrouble as trouble:
        if trouble.code == "key_unavailable":
            return trouble
        stored = ""
    if record.get("id") == job_id and hmac.compare_digest(stored, _digest(_asked(job_id, record))):
        return None
    return KeyTrouble(
        "What this job asks for isn't what was submitted: its record was changed in Redis, or written by an older version.",
        code="tampered",
        advice="Look at it and at the audit, then submit it again; see docs/threat-model.md.",
    )


def _known(subject: Subject, name: str, vault: Vault) -> tuple[Subject, bool]:
    """What is known of a subject, and whether somebody forged its receipt. Without a good receipt the attempt looks first."""
    if subject.receipt_text is None or _fits(
        vault, subject.receipt_seal, _digest(subject.receipt_text), RECEIPTS, name
    ):
        return subject, False
    doubt_ms = max(subject.doubt_until_ms or 0, LONG_PAST_MS)
    bare = subject.model_copy(update={"receipt": None, "doubt_until_ms": doubt_ms, "shown": Shown()})
    return bare, subject.receipt_seal is not None


def is_receipt_of(vault: Vault, subject: str, receipt: str, seal: str) -> bool:
    """Whether the receipt that is stored with a subject is its own."""
    return _fits(vault, seal or None, _digest(receipt), RECEIPTS, subject)


def _fits(vault: Vault, sealed: str | None, expected: str, purpose: str, owner: str, field: str = "") -> bool:
    try:
        return sealed is not None and hmac.compare_digest(
            vault.open(sealed, purpose=purpose, owner=owner, field=field), expected
        )
    except (KeyTrouble, TypeError):
        return False


def _asked(job_id: str, fields: Mapping[str, str]) -> str:
    """The canonical form of what is asked: every signed field as it is stored, and whether fields are sealed beside them."""
    return json.dumps([job_id, [fields.get(name) for name in SIGNED], "sealed_fields" in fields])


def _digest(message: str) -> str:
    return base64.b64encode(hashlib.sha256(message.encode("utf-8", "surrogatepass")).digest()).decode()


async def sign_stored(redis: Redis, journal: Journal) -> int:
    """Sign the unfinished jobs of a version that didn't, as they stand; returns how many. Raises `StateUnavailable`."""
    signed = 0
    for state in UNFINISHED:
        place = f"{journal.prefix}:state:{state}"
        ids = [text(raw) for raw in await redis.zrange(place, 0, -1)]
        for start in range(0, len(ids), BATCH):
            pipeline = redis.pipeline(transaction=False)
            for job_id in ids[start : start + BATCH]:
                pipeline.hgetall(f"{journal.prefix}:job:{job_id}")
            found = zip(ids[start : start + BATCH], await pipeline.execute(), strict=True)
            changes = {f"job:{job_id}": _signed(journal.vault, job_id, raw) for job_id, raw in found if raw}
            changes = {name: fields for name, fields in changes.items() if fields}
            if changes:
                await journal.commit("lua/record", {"hash": changes}, Event.RECORD_SIGNED, jobs=len(changes))
                signed += len(changes)
    return signed


def _signed(vault: Vault, job_id: str, raw: Mapping[bytes, bytes]) -> list[str]:
    """The fields to add to an unsigned record; none where it is signed."""
    record = {name.decode(): value.decode("utf-8", "surrogateescape") for name, value in raw.items()}
    if SIGNATURE in record:
        return []
    added = [SIGNATURE, signature(vault, job_id, record)]
    return [*added, RELEASE, release(vault, job_id)] if record.get(RELEASED) == "1" else added
