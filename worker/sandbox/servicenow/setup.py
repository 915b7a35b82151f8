"""Tables of ServiceNow as a set-up file gives them: new ones, and more columns and rules for those that there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from worker.sandbox.servicenow.incident import OWN, columns_of
from worker.sandbox.servicenow.tables import TABLES, Column, Kind, Table, of_somebody

ColumnName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class OwnColumn(BaseModel):
    """A column: a text of at most `length` characters, one of `values` (a choice), a record of the table `reference`, or another type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ColumnName
    type: Kind = "text"
    length: Annotated[int, Field(ge=1, le=65_000)] = 4000
    values: tuple[Line, ...] = ()
    reference: ColumnName | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.type == "choice") != bool(self.values):
            raise ValueError("a choice has `values`, and no other type does")
        if (self.type == "reference") != bool(self.reference):
            raise ValueError("a reference names its table as `reference`, and no other type does")
        return self

    @property
    def column(self) -> Column:
        """The column as its table holds it."""
        return Column(self.type, self.length, self.values, self.reference or "")


class OwnTable(BaseModel):
    """A table of tickets. One that there is gets the columns and rules beside its own, and other states where these are given; a new
    one has the columns of `task`. `mandatory` columns must have a value, those of `mandatory_in` in that state; `read_only` ones no
    write sets, without a word.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ColumnName
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,10}$")] | None = None
    states: Annotated[dict[Line, Line], Field(min_length=1)] | None = None
    ended: tuple[Line, ...] | None = None
    column: tuple[OwnColumn, ...] = ()
    mandatory: tuple[ColumnName, ...] = ()
    mandatory_in: dict[Line, tuple[ColumnName, ...]] = {}
    read_only: tuple[ColumnName, ...] = ()

    def added_to(self, known: Table | None) -> Table:
        """The table as it is with this, `known` being what there was."""
        begun = known or of_somebody(
            self.prefix or "TKT", {"1": "Open", "2": "Work in Progress", "3": "Closed"}, ("3",)
        )
        return replace(
            begun,
            prefix=self.prefix or begun.prefix,
            states=self.states or begun.states,
            ended=begun.ended if self.ended is None else self.ended,
            columns={**begun.columns, **{own.name: own.column for own in self.column}},
            mandatory=(*begun.mandatory, *self.mandatory),
            mandatory_in={
                state: (*begun.mandatory_in.get(state, ()), *self.mandatory_in.get(state, ()))
                for state in dict.fromkeys((*begun.mandatory_in, *self.mandatory_in))
            },
            read_only=(*begun.read_only, *self.read_only),
        )

    def unknown(self) -> Iterator[str]:
        """The columns and states that are named and not there, and columns that nobody can make, each with the key that names it."""
        yield from (
            f"column.{n}.name: {own.name} is the instance's own" for n, own in enumerate(self.column) if own.name in OWN
        )
        table = self.added_to(TABLES.get(self.name))
        columns = columns_of(table)
        named = {"mandatory": self.mandatory, "read_only": self.read_only}
        named |= {f"mandatory_in.{state}": names for state, names in self.mandatory_in.items()}
        for key, names in named.items():
            yield from (f"{key}: there is no column {name}" for name in names if name not in columns)
        for key, states in (("ended", self.ended or ()), ("mandatory_in", tuple(self.mandatory_in))):
            yield from (f"{key}: there is no state {state}" for state in states if state not in table.states)
