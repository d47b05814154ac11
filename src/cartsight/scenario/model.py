"""The scenario: one frozen, validated object from which everything else follows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from cartsight.core.errors import InputError, nearest
from cartsight.scenario.analysis import Analysis, ValidationTarget
from cartsight.scenario.arms import AnyArm, AutologousArm, LotArm
from cartsight.scenario.numbers import NOT_A_NUMBER, Frozen, Money, Number
from cartsight.scenario.pathway import CarePathway
from cartsight.scenario.population import Population

SCHEMA_VERSION = 1


class Scenario(Frozen):
    """One scenario file."""

    schema_version: int = Field(1, ge=1, le=SCHEMA_VERSION)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    title: str
    description: str
    population: Population
    care_pathway: CarePathway
    arms: dict[str, AnyArm] = Field(min_length=1, max_length=20)
    analysis: Analysis
    validation: dict[str, ValidationTarget] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        regions = list(self.population.regions)
        for name, arm in self.arms.items():
            if isinstance(arm, LotArm):
                arm.lots.check_regions(regions, f"arms.{name}.lots")
            if not isinstance(arm, AutologousArm) or arm.sites is None:
                continue
            served: set[str] = set()
            for site_name, site in arm.sites.items():
                for region in site.serves or regions:
                    if region not in regions:
                        raise ValueError(
                            f"arms.{name}.sites.{site_name}.serves: unknown region {region!r}. {nearest(region, regions) or ''}"
                        )
                    served.add(region)
            missing = [region for region in regions if region not in served]
            if missing:
                raise ValueError(f"arms.{name}.sites: no site serves {', '.join(missing)}")
        reference = self.analysis.reference_arm
        if reference is not None and reference not in self.arms:
            raise ValueError(
                f"analysis.reference_arm: unknown arm {reference!r}; allowed: {', '.join(self.arms)}. "
                f"{nearest(reference, self.arms) or ''}"
            )
        for key, target in self.validation.items():
            if target.arm is not None and target.arm not in self.arms:
                raise ValueError(
                    f"validation.{key}.arm: unknown arm {target.arm!r}; allowed: {', '.join(self.arms)}. "
                    f"{nearest(target.arm, self.arms) or ''}"
                )
            if target.less is not None:
                others = [
                    name for name, other in self.validation.items() if other.metric == target.metric and name != key
                ]
                if target.less not in others:
                    raise ValueError(
                        f"validation.{key}.less: no other target of this metric is called {target.less!r}; "
                        f"allowed: {', '.join(others) or 'none'}. {nearest(target.less, others) or ''}"
                    )
        return self

    @property
    def reference_arm(self) -> str:
        """The arm that differences are taken from."""
        return self.analysis.reference_arm or next(iter(self.arms))

    def numbers(self) -> dict[str, Number]:
        """Return every number of the scenario by its field path, in file order (validation targets left out).

        A number that repeats another (`same_as`) is not listed: it has no uncertainty of its own.
        """
        return {path: number for path, number in self._every_number().items() if number.same_as is None}

    def repeated_in(self) -> dict[str, tuple[str, ...]]:
        """Return, for every number that others repeat (`same_as`), the field paths at which they do."""
        found: dict[str, tuple[str, ...]] = {}
        for path, number in self._every_number().items():
            if number.same_as is not None:
                found[number.same_as] = (*found.get(number.same_as, ()), path)
        return found

    def _every_number(self) -> dict[str, Number]:
        found: dict[str, Number] = {}
        for section in ("population", "care_pathway", "arms"):
            found.update(walk_numbers(getattr(self, section), section))
        return found

    @property
    def referrals_per_day(self) -> float:
        """Referrals per day from all regions."""
        return sum(region.referrals_per_year.x for region in self.population.regions.values())

    def with_analysis(self, **changes: Any) -> Scenario:
        """Return the scenario with other settings of the analysis, validated.

        Raises
        ------
        InputError
            A setting of the wrong kind or out of its range; the field is ``analysis.<setting>``.
        """
        try:
            analysis = Analysis.model_validate({**self.analysis.model_dump(), **changes})
        except ValidationError as error:
            first = error.errors()[0]
            place: tuple[Any, ...] = first["loc"]
            found = first.get("input")
            if first["type"] == NOT_A_NUMBER:
                place, found = (first["ctx"]["field"],), first["ctx"]["found"]
            message = first["msg"].removeprefix("Value error, ")
            raise InputError(
                message[0].lower() + message[1:],
                field=".".join(("analysis", *map(str, place))),
                found=None if isinstance(found, dict) else found,
            ) from None
        return self.model_copy(update={"analysis": analysis})

    def with_values(self, values: Mapping[str, float], *, known: bool = False) -> Scenario:
        """Return the scenario at other values: {field path: value in the field's own unit}.

        Numbers that repeat a changed one (`same_as`) change with it, unless a value of their own is given.
        `known` skips the check of the paths; only for paths that came from `numbers`.

        Raises
        ------
        InputError
            A path names no number; the message gives the nearest one.
        """
        every = self._every_number()
        if not known:
            for path in values:
                if path not in every:
                    raise InputError("no number at this field path", field=path, hint=nearest(path, every))
        leaders = {path: number.same_as for path, number in every.items() if number.same_as is not None}
        followers = {path: values[leader] for path, leader in leaders.items() if leader in values}
        tree: dict[str, Any] = {}
        for path, value in {**followers, **values}.items():
            branch = tree
            *parents, leaf = path.split(".")
            for part in parents:
                branch = branch.setdefault(part, {})
            branch[leaf] = value
        moved = replace_numbers(self, tree)
        assert isinstance(moved, Scenario)
        return moved

    def in_money(self) -> Scenario:
        """Return the scenario with every amount of money in the analysis's currency and price year."""
        result = amounts_in(self, self.analysis.money)
        assert isinstance(result, Scenario)
        return result

    def content_hash(self) -> str:
        """Return a hash of everything that can change a result."""
        text = json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def walk_numbers(node: Any, path: str) -> Iterator[tuple[str, Number]]:
    """Yield (field path, number) of everything below a section, in file order."""
    if isinstance(node, Number):
        yield path, node
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from walk_numbers(getattr(node, name), f"{path}.{name}")
    elif isinstance(node, dict):
        for key, item in node.items():
            yield from walk_numbers(item, f"{path}.{key}")


def replace_numbers(node: Any, tree: Mapping[str, Any]) -> Any:
    """Return a section at other values: `tree` nests field names down to a value in the field's own unit."""
    if isinstance(node, dict):
        return {key: _child(item, tree[key]) if key in tree else item for key, item in node.items()}
    return node.model_copy(update={name: _child(getattr(node, name), branch) for name, branch in tree.items()})


def _child(node: Any, branch: Any) -> Any:
    return (
        node.at(branch)
        if isinstance(node, Number) and isinstance(branch, float | int)
        else replace_numbers(node, branch)
    )


def amounts_in(node: Any, money: str) -> Any:
    """Return a section with every amount of money in one currency and price year."""
    return _transform(node, lambda number: number.in_unit(money) if isinstance(number, Money) else number)


def _transform(node: Any, change: Any) -> Any:
    if isinstance(node, Number):
        return change(node)
    if isinstance(node, BaseModel):
        updates = {}
        for name in type(node).model_fields:
            old = getattr(node, name)
            new = _transform(old, change)
            if new is not old:
                updates[name] = new
        return node.model_copy(update=updates) if updates else node
    if isinstance(node, dict):
        items = {key: _transform(item, change) for key, item in node.items()}
        return node if all(items[key] is node[key] for key in node) else items
    return node
