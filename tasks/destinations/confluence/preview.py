"""What a delivery to a page would change, found out by reading only."""

from __future__ import annotations

import asyncio

from tasks.destinations.confluence.page import Keeper
from tasks.destinations.confluence.plan import Found
from tasks.destinations.contract import Preview
from tasks.errors import Permanent
from tasks.markup.compare import Change, compare
from tasks.markup.confluence.inline_comments import carry_over
from tasks.markup.confluence.stored import lines_of


async def preview_page(keeper: Keeper) -> Preview:
    """Look at the page as a delivery would, and say what it would do. Raises what the delivery would raise."""
    await keeper.space()
    found = await keeper.known() or await keeper.ours(keeper.plan.title)
    if found is not None:
        return await _existing(keeper, found)
    await keeper.look_up(None)
    await keeper.place(create=False)
    title, notes = keeper.plan.title, [*keeper.plan.warnings, *_missing(keeper), *_told(keeper)]
    if await keeper.api.titled(await keeper.space(), title):
        answer = await keeper.answer_to_conflict(title)
        if isinstance(answer, Found):
            return await _existing(keeper, answer)
        title = answer
        notes.append("The document's title is taken; the page would get a number.")
    await _parent_is_there(keeper)
    if await keeper.api.may_create(await keeper.space()) is False:
        raise Permanent(
            "The account may not create pages in this space.",
            code="refused",
            advice="Give it the right to add pages there; `afterword destination test` shows its rights.",
        )
    return Preview(
        action="create",
        title=("", title),
        parent=(None, _named(keeper)) if _named(keeper) else None,
        labels_added=keeper.plan.labels,
        uploads=tuple(file.name for file in keeper.plan.files),
        diff=await asyncio.to_thread(_diff, "", keeper.plan.body),
        notes=tuple(notes),
    )


async def _existing(keeper: Keeper, found: Found) -> Preview:
    page, plan, mark = found.page, keeper.plan, found.mark
    standing = await keeper.standing(found)
    await keeper.look_up(mark)
    await keeper.place(found, create=False)
    notes = [*plan.warnings, *keeper.notes, *_missing(keeper), *_told(keeper)]
    body = keeper.draft(plan.title).body
    lost = (await asyncio.to_thread(carry_over, page.body, body)).lost
    if lost:
        notes.append(f"{lost} inline comments would lose their text.")
    action = "update"
    if standing.edited:
        action = {"overwrite": "update"}.get(keeper.policy.on_drift, keeper.policy.on_drift)
        notes.append(f"Somebody edited the page; on_drift is {keeper.policy.on_drift}.")
    elif standing.shows == plan.digest[:12] and not keeper.moves(page) and keeper.shows_all(found):
        return Preview(action="unchanged", url=page.url, notes=tuple(notes))
    if keeper.moves(page):
        await _parent_is_there(keeper)
    there = set(await keeper.api.labels(page.id)) if plan.labels else set()
    title = keeper.title_for(found)
    known = mark.files if mark else {}
    return Preview(
        action=action,
        url=page.url,
        title=(page.title, title) if page.title != title else None,
        parent=(page.parent_id, _named(keeper)) if keeper.moves(page) else None,
        labels_added=tuple(name for name in plan.labels if name not in there),
        labels_removed=tuple(sorted(set(mark.labels) - set(plan.labels))) if mark else (),
        uploads=tuple(file.name for file in plan.files if known.get(file.name) != file.sha),
        diff=await asyncio.to_thread(_diff, page.body, body),
        notes=tuple(notes),
    )


async def _parent_is_there(keeper: Keeper) -> None:
    """Raise what a delivery would, where the page that is named by its number can't be a parent."""
    number = keeper.plan.parent_id
    if number and await keeper.api.place(await keeper.space(), number) is None:
        raise Permanent(
            f"There is no parent page {number} in this space, or the account can't see it.",
            code="unknown_parent",
            advice="Name another parent page, or none.",
        )


def _named(keeper: Keeper) -> str | None:
    """The parent as the job names it, with what is filled in."""
    return keeper.plan.parent_id or "/".join(keeper.plan.parent_titles) or None


def _missing(keeper: Keeper) -> tuple[str, ...]:
    missing = keeper.plan.parent_titles and keeper.parent_id is None
    what = keeper.policy.missing_parents.capitalize()
    return (f"{what} of the parent's path are missing; they would be created.",) if missing else ()


def _told(keeper: Keeper) -> tuple[str, ...]:
    return tuple(f"Would be set: {line}." for line in keeper.told)


def _diff(old: str, new: str) -> tuple[Change, ...]:
    return compare(lines_of(old), lines_of(new))
