"""From a TOML file to a validated scenario, and errors that name file, line, field, what was found and what is allowed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cartsight.core.errors import InputError, nearest
from cartsight.scenario.model import Scenario
from cartsight.scenario.numbers import NOT_A_NUMBER
from cartsight.scenario.release import resolve_release
from cartsight.scenario.shared_numbers import resolve_shared

MAXIMUM_BYTES = 5_000_000
MAXIMUM_DEPTH = 20
_DEPTH = f"up to {MAXIMUM_DEPTH} levels"
SHIPPED = Path(__file__).parent / "shipped"


def shipped_scenarios() -> dict[str, Path]:
    """Return the scenarios that come with the package: name -> file."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_scenario(name_or_path: str | Path) -> Path:
    """Return the file of a shipped scenario's name or of a path.

    Raises
    ------
    InputError
        Neither a file nor a shipped name; the message gives the nearest name.
    """
    path = Path(name_or_path)
    if _is_file(path):
        return path
    shipped = shipped_scenarios()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    if _is_folder(path):
        raise InputError("a scenario is a TOML file, not a folder", found=str(name_or_path))
    raise InputError(
        "no such scenario file, and no shipped scenario of that name",
        found=str(name_or_path),
        allowed=", ".join(shipped) or None,
        hint=nearest(str(name_or_path), shipped),
    )


def _is_file(path: Path) -> bool:
    # A name that is too long for the file system, or holds a NUL, is a name that no file has.
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Return the validated scenario of a file or of a shipped name, with money in the analysis's unit.

    Raises
    ------
    InputError
        Anything wrong with the file, one message with file, line, field path, what was found and what is allowed.
    """
    path = find_scenario(name_or_path)
    raw, origin, chain = _read_with_parents(path, ())
    return validate(raw, path, origin, chain)


def validate(
    raw: dict[str, Any],
    path: Path,
    origin: dict[tuple[str, ...], Path] | None = None,
    chain: tuple[Path, ...] = (),
) -> Scenario:
    """Return the scenario of raw TOML data, or raise the first thing that is wrong with it.

    `origin` says which file states a field and `chain` lists the files, parents first; release specifications are
    found relative to the file that names them.
    """
    try:
        _check_names(raw)
        raw = resolve_release(raw, path, origin or {}, chain)
        return Scenario.model_validate(resolve_shared(raw)).in_money()
    except ValidationError as error:
        raise _explain(error, raw, path, origin or {}) from None
    except InputError as error:
        line = _line_of(Path(error.file or path), tuple(error.field.split("."))) if error.field else None
        raise error.located(file=path, line=line) from None


def _read_with_parents(
    path: Path, children: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[tuple[str, ...], Path], tuple[Path, ...]]:
    here = path.resolve()
    if here in children:
        circle = " -> ".join(p.name for p in (*children, here))
        raise InputError("circular extends", file=path, line=_line_of(path, ("extends",)), found=circle)
    raw = read_toml(path)
    parent = raw.pop("extends", None)
    origin: dict[tuple[str, ...], Path] = {}
    chain: tuple[Path, ...] = ()
    if parent is not None:
        if not isinstance(parent, str):
            raise InputError(
                "extends takes one file or shipped name", file=path, line=_line_of(path, ("extends",)), found=parent
            )
        candidate = path.parent / parent
        try:
            parent_path = candidate if _is_file(candidate) else find_scenario(parent)
        except InputError as error:
            raise error.located(file=path, line=_line_of(path, ("extends",)), field="extends") from None
        base, origin, chain = _read_with_parents(parent_path, (*children, here))
        try:
            raw = _merge(base, raw)
        except InputError as error:
            line = _line_of(path, tuple((error.field or "").split(".")))
            raise error.located(file=path, line=line) from None
    for key in _leaf_paths(read_toml(path)):
        origin[key] = path
    return raw, origin, (*chain, path)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the TOML data of a file; unreadable, too large, not UTF-8 or malformed files are an InputError."""
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise InputError(
                "the file is too large for a scenario", file=path, found=f"{size / 1e6:.0f} MB", allowed="up to 5 MB"
            )
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", file=path, hint="Save the file as UTF-8.") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    try:
        raw = tomllib.loads(text)
    except RecursionError:
        raise InputError("tables are nested too deeply for a scenario", file=path, allowed=_DEPTH) from None
    except ValueError as error:
        # Beside its own errors the TOML reader passes on those of Python's numbers, such as a whole number of 5000 digits.
        raise InputError(f"not valid TOML: {error}", file=path) from None
    if _deeper_than(raw, MAXIMUM_DEPTH):
        raise InputError("tables are nested too deeply for a scenario", file=path, allowed=_DEPTH)
    return raw


def _deeper_than(raw: dict[str, Any], limit: int) -> bool:
    level: list[Any] = [raw]
    for _ in range(limit + 1):
        nodes = (node.values() if isinstance(node, dict) else node for node in level)
        level = [item for node in nodes for item in node if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


# A number is one decision: a child file that restates it replaces it whole, so no stale origin survives.
_NUMBER_KEYS = {"value", "evidence", "assumed", "source", "estimated", "elicited", "same_as"}


def _merge(base: dict[str, Any], child: dict[str, Any], prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    merged = dict(base)
    for key, item in child.items():
        old = merged.get(key)
        if item == {"remove": True}:
            if key not in merged:
                raise InputError(
                    "nothing of this name to remove",
                    field=".".join((*prefix, key)),
                    found=key,
                    allowed=", ".join(base) or None,
                    hint=nearest(key, base),
                )
            del merged[key]
        elif isinstance(item, dict) and isinstance(old, dict) and not _is_number(item) and not _is_number(old):
            merged[key] = _merge(old, item, (*prefix, key))
        else:
            merged[key] = item
    return merged


def _is_number(table: dict[str, Any]) -> bool:
    return any(key in _NUMBER_KEYS and not isinstance(item, dict) for key, item in table.items())


# Field paths join names with dots; messages, tables and charts carry them.
_NAME = re.compile(r"[^\W_][\w +%()-]{0,63}")


def _check_names(raw: dict[str, Any], prefix: tuple[str, ...] = ()) -> None:
    """Refuse a name that no field path can hold; the keys of a validation target's `change` are field paths."""
    for key, item in raw.items():
        if not _NAME.fullmatch(key):
            raise InputError(
                "this cannot be a name in a scenario",
                field=".".join((*prefix, key)),
                found=key,
                allowed="a letter or digit, then letters, digits, spaces, - _ + % ( ), 64 at most",
            )
        if isinstance(item, dict) and not (prefix[:1] == ("validation",) and key == "change"):
            _check_names(item, (*prefix, key))


def _leaf_paths(node: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = []
    for key, item in node.items():
        paths.append((*prefix, key))
        if isinstance(item, dict):
            paths.extend(_leaf_paths(item, (*prefix, key)))
    return paths


def _line_of(path: Path, field: tuple[str, ...]) -> int | None:
    """Return the line on which a field is set, by reading table headers and keys; None when unsure."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    table: tuple[str, ...] = ()
    best: tuple[int, int] | None = None
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith("["):
            table = _key_parts(text.strip("[]").split("]")[0])
            candidate = table
        elif "=" in text and not text.startswith("#"):
            candidate = table + _key_parts(text.split("=", 1)[0])
        else:
            continue
        depth = len(candidate)
        if candidate == field[:depth] and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best is not None else None


def _key_parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.strip().split(".")) if text.strip() else ()


def _explain(
    error: ValidationError, raw: dict[str, Any], path: Path, origin: dict[tuple[str, ...], Path]
) -> InputError:
    # The most telling error first: an unknown field is usually the cause of a missing one.
    errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = errors[0]
    location = tuple(str(part) for part in first["loc"])
    found = first.get("input")
    if first["type"] == NOT_A_NUMBER:
        location, found = (*location, first["ctx"]["field"]), first["ctx"]["found"]
    location = tuple(
        part for i, part in enumerate(location) if not (i == 2 and location[0] == "arms" and part in _TAGS)
    )
    file = next((origin[location[:n]] for n in range(len(location), 0, -1) if location[:n] in origin), path)
    line = _line_of(file, location)
    field = ".".join(location)
    more = f" ({len(errors) - 1} more after this one)" if len(errors) > 1 else ""
    kind = first["type"]
    plain = _in_plain_words(first, found)
    if plain is not None:
        problem, allowed, hint = plain
        if kind == "union_tag_not_found" and hint is None:
            # In a file that extends another an arm without a modality is most often the name of one, misspelt.
            arms = raw.get("arms", {})
            hint = nearest(
                location[-1], [name for name, arm in arms.items() if isinstance(arm, dict) and "modality" in arm]
            )
        shown = found.get("modality") if isinstance(found, dict) else found
        return InputError(problem + more, file=file, line=line, field=field, found=shown, allowed=allowed, hint=hint)
    if kind == "extra_forbidden":
        siblings = _siblings(raw, location, errors)
        return InputError(
            f"unknown field{more}",
            file=file,
            line=line,
            field=field,
            found=location[-1],
            allowed=", ".join(siblings) or None,
            hint=nearest(location[-1], siblings),
        )
    if kind == "missing":
        return InputError(f"missing field{more}", file=file, line=line, field=field)
    message = first["msg"].removeprefix("Value error, ")
    if not field:
        # A check of the whole scenario starts its message with the field path it is about.
        named = _FIELD_FIRST.fullmatch(message)
        if named is not None:
            field, message = named.group(1), named.group(2)
            line = _line_of(path, tuple(field.split(".")))
    message = message[0].lower() + message[1:] + more
    return InputError(
        message.strip(), file=file, line=line, field=field or None, found=None if isinstance(found, dict) else found
    )


_FIELD_FIRST = re.compile(r"([a-z_]+(?:\.[\w-]+)+): (.*)", re.DOTALL)


def _in_plain_words(first: Any, found: Any) -> tuple[str, str | None, str | None] | None:
    """Return problem, allowed and hint where the schema's own words speak of Python; None keeps them."""
    kind, context = first["type"], first.get("ctx", {})
    if kind in {"model_type", "model_attributes_type"} and isinstance(found, (int, float, str)):
        return "a number says where it comes from", '{ value = 0.2, unit = "probability", assumed = "why" }', None
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return "this is a table of fields", None, None
    if kind == "union_tag_not_found":
        return "an arm needs a modality", ", ".join(sorted(_TAGS)), None
    if kind == "union_tag_invalid":
        return "unknown modality", ", ".join(sorted(_TAGS)), nearest(str(context.get("tag")), _TAGS)
    if kind == "too_short" and isinstance(found, dict):
        return f"needs at least {context.get('min_length')} entry", None, None
    if kind == "too_long" and isinstance(found, dict):
        return "too many entries", f"up to {context.get('max_length')}", None
    return None


_TAGS = {"autologous", "allogeneic", "in_vivo", "other_care"}


def _siblings(raw: dict[str, Any], location: tuple[str, ...], errors: list[Any]) -> list[str]:
    """Return the field names that the schema allows beside `location`."""
    from pydantic import BaseModel

    from cartsight.scenario import arms as arm_models

    by_tag = {
        "autologous": arm_models.AutologousArm,
        "allogeneic": arm_models.AllogeneicArm,
        "in_vivo": arm_models.InVivoArm,
        "other_care": arm_models.OtherCareArm,
    }
    model: Any = Scenario
    node: Any = raw
    for part in location[:-1]:
        node = node.get(part) if isinstance(node, dict) else None
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
        if model is None and isinstance(node, dict) and node.get("modality") in by_tag:
            model = by_tag[str(node["modality"])]
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    from typing import get_args

    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = [found for part in get_args(annotation) if (found := _model_in(part)) is not None]
    return models[0] if len(models) == 1 else None
