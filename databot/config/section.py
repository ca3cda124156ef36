"""What every section of the configuration has in common."""

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

NUMBERS: tuple[object, ...] = (int, float)


class Section(BaseModel):
    """Base of every section."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """YAML reads `yes` as a switch, and pydantic a switch as 1."""
        wanted: object = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and wanted in NUMBERS:
            raise ValueError("must be a number, not yes or no")
        return value
