"""Validation errors as one line a person can act on."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError

NO_MAPPING = frozenset({"model_type", "model_attributes_type", "dict_type"})

Location = tuple[str | int, ...]


def explain(error: ValidationError, root: type[BaseModel], origin: str) -> str:
    """All problems, one after another, each with its path; never the offending value, which may be a secret."""
    items = [
        (without_branches(item["loc"], root), item["type"], item["msg"])
        for item in error.errors(include_input=False, include_url=False)
    ]
    deeper = {location[:-1] for location, _, _ in items}
    problems = [
        explain_one(location, kind, message, root)
        for location, kind, message in items
        if location not in deeper  # what else the value might have been, had it no keys
    ]
    return f"{origin}: " + "; ".join(dict.fromkeys(problems))


def without_branches(location: Location, root: type[BaseModel]) -> Location:
    """The place as the file has it: pydantic also names which of several types it tried."""
    kept: list[str | int] = []
    for part in location:
        model = model_at(root, kept)
        if isinstance(part, int) or not ("[" in part or (model and part == model.__name__)):
            kept.append(part)
    return tuple(kept)


def explain_one(location: Location, kind: str, message: str, root: type[BaseModel]) -> str:
    path = ".".join(str(part) for part in location)
    owner = model_at(root, location[:-1])
    if kind != "extra_forbidden":
        if is_reserved(owner, location):
            return f"{path}: this is reserved for a later version; leave it out"
        if kind in NO_MAPPING:
            return f"{path}: must be a section with keys of its own, not a plain value"
        told = message.removeprefix("Value error, ")
        if told.startswith("Value should have"):  # a secret, which pydantic counts like a list
            told = told.replace("items after validation", "characters")
        return f"{path}: {told[:1].lower()}{told[1:]}"
    known = list(owner.model_fields) if owner else []
    near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    prefix = "".join(f"{part}." for part in location[:-1])
    if near:
        return f"unknown key {path!r}; did you mean {prefix + near[0]!r}?"
    return f"unknown key {path!r}; the keys here are: {', '.join(known)}"


def is_reserved(owner: type[BaseModel] | None, location: Location) -> bool:
    """Whether the setting at the place is one that a later version will have."""
    field = owner.model_fields.get(str(location[-1])) if owner and location else None
    return field is not None and (field.description or "").startswith("Reserved")


def model_at(root: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """The model that validates the value at `location`."""
    model: type[BaseModel] | None = root
    annotation: object = root
    for part in location:
        if model is not None and isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
        model = model_in(annotation)
    return model


def model_in(annotation: object) -> type[BaseModel] | None:
    """The first model class inside an annotation such as `dict[str, BotSection] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = model_in(argument)
        if found:
            return found
    return None
