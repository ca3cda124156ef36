"""A databot plugin to copy from: a tool, a connector, a provider and a channel, one file each."""
