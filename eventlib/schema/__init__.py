"""Schema validation: which version judges an event, and why it was refused."""

from eventlib.schema.registry import Registry, registry

__all__ = ["Registry", "registry"]
