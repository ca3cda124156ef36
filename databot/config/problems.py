"""Validation errors as one line a person can act on."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError


def explain(error: ValidationError, root: type[BaseModel], origin: str) -> str:
    """All problems, one after another, each with its path; never the offending value, which may be a secret."""
    problems = [
        explain_one(item["loc"], item["type"], item["msg"], root)
        for item in error.errors(include_input=False, include_url=False)
    ]
    return f"{origin}: " + "; ".join(dict.fromkeys(problems))


def explain_one(
    location: Sequence[str | int], kind: str, message: str, root: type[BaseModel]
) -> str:
    path = ".".join(str(part) for part in location)
    if kind != "extra_forbidden":
        return f"{path}: {message[:1].lower()}{message[1:]}"
    owner = model_at(root, location[:-1])
    known = list(owner.model_fields) if owner else []
    near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    prefix = "".join(f"{part}." for part in location[:-1])
    if near:
        return f"unknown key {path!r}; did you mean {prefix + near[0]!r}?"
    return f"unknown key {path!r}; the keys here are: {', '.join(known)}"


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
