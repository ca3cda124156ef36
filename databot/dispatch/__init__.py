"""How replicas tell each other that there is work."""
