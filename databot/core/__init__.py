"""The engine: bus, dispatcher, pipeline, loop, context."""
