"""One number in several places: ``{ same_as = "field.path" }`` repeats another number of the scenario.

Arms that share a utility or a cost must share its draw, or the uncertainty of their difference is overstated.
The reference is resolved after `extends`: a child file that changes the number changes it everywhere.
"""

from __future__ import annotations

from typing import Any

from cartsight.core.errors import InputError, nearest

KEY = "same_as"


def resolve_shared(raw: dict[str, Any]) -> dict[str, Any]:
    """Return raw scenario data with every ``same_as`` replaced by a copy of the number it names.

    The copy keeps ``same_as``, holding the path of the number at the end of a chain of references.

    Raises
    ------
    InputError
        The path names no number, the reference is circular, or other fields stand beside ``same_as``.
    """
    resolved = _resolve(raw, (), raw)
    assert isinstance(resolved, dict)
    return resolved


def _resolve(node: Any, path: tuple[str, ...], root: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolve(item, (*path, str(i)), root) for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if KEY in node:
        return _copy(node, path, root)
    return {key: _resolve(item, (*path, key), root) for key, item in node.items()}


def _copy(node: dict[str, Any], path: tuple[str, ...], root: dict[str, Any]) -> dict[str, Any]:
    field = ".".join(path)
    if len(node) > 1:
        others = ", ".join(key for key in node if key != KEY)
        raise InputError("same_as stands alone, it brings the whole number", field=field, found=others)
    seen = [field]
    while KEY in node:
        target = node[KEY]
        if not isinstance(target, str):
            raise InputError("same_as takes the field path of another number", field=field, found=target)
        if target in seen:
            raise InputError("circular same_as", field=field, found=" -> ".join([*seen, target]))
        seen.append(target)
        node = _number_at(root, target, field)
    return {**node, KEY: seen[-1]}


def _number_at(root: dict[str, Any], target: str, field: str) -> dict[str, Any]:
    node: Any = root
    for part in target.split("."):
        if not isinstance(node, dict) or part not in node:
            hint = nearest(target, _number_paths(root))
            raise InputError("same_as names no number of this scenario", field=field, found=target, hint=hint)
        node = node[part]
    if not isinstance(node, dict) or not {"value", "evidence", KEY} & node.keys():
        raise InputError("same_as must name a number, not a section or a text", field=field, found=target)
    return node


def _number_paths(node: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[str]:
    paths: list[str] = []
    for key, item in node.items():
        if not isinstance(item, dict):
            continue
        if {"value", "evidence"} & item.keys():
            paths.append(".".join((*prefix, key)))
        else:
            paths += _number_paths(item, (*prefix, key))
    return paths
