"""Dispatch on PostgreSQL alone, for those who run no Redis: procrastinate's jobs, and LISTEN/NOTIFY."""

from databot.dispatch.procrastinate.address import complete
from databot.dispatch.procrastinate.opening import open_procrastinate, probe_procrastinate

__all__ = ["complete", "open_procrastinate", "probe_procrastinate"]
