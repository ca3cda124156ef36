"""The address of a model server, checked once for every way to reach it. Pure."""

from yarl import URL

from databot.types.errors import ConfigError


def parsed_base(api_base: str) -> URL:
    """The base URL without a slash at its end.

    Raises:
        ConfigError: it is no http(s) URL, or it holds a user name and password.
    """
    try:
        url = URL(api_base.rstrip("/"))
        usable = url.scheme in {"http", "https"} and url.host and (url.port or 0) > 0
    except ValueError:  # also from the port
        url, usable = URL(), False
    if not usable or url.user or url.password or url.query_string:
        raise ConfigError(
            "llm.api_base is not the base URL of a model server",
            hint="give it as http://HOST:PORT/v1 or https://HOST/v1, and the key as llm.api_key",
        )
    return url
